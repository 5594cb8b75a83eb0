"""Predictions: the endpoint record (served or external), the prediction log, ground truth, and both as Delta tables.

Not here: answering requests (`serving`) and judging what was predicted (`monitoring`).
"""
