"""Statistics that holdfast decides by: mergeable histograms, drift measures, intervals, metrics of a
classifier from histograms, and the sequential test behind alerts.

Pure functions on numpy arrays and small frozen records; no I/O, no clock, no randomness. Not here: which rows
are compared with which, and what is said about it (`monitoring`).
"""
