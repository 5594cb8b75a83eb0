"""Experiments and their runs: params, metrics, tags, artifacts, and the models that runs log.

Not here: named models and their versions (`registry`), who may deploy what (`governance`).
"""
