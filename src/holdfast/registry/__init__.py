"""Named models and their versions, each sealed by its digest; aliases, and what they named at any time.

A version becomes ready when the worker has prepared its deployable: the tree of model files, environment
lock, converted model and signature whose digest approvals bind and the inference server verifies.
Not here: running the model (`runtimes`), serving it (`serving`).
"""
