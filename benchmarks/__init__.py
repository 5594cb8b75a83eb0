"""Benchmarks: generated inputs, one command each, results as JSON lines, peers or floors measured in the same run."""
