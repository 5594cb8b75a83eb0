"""Loading, converting and running a model: validation of its rows, ONNX in this process, or the original
model in a process of its own inside a sandbox.

The server never unpickles: the small program in `program/` does, inside the model's own environment.
Not here: which version is served where (`serving`), where a model's files are kept (`registry`, `storage`).
"""
