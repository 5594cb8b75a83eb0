"""The tables of tracking: runs with their attributes, metric batches with summaries, logged models."""
