"""Serving: which model version stands behind which endpoint, and the inference server that answers.

The control plane's half (`service`) keeps deployments and signs the desired state; the other half (`inference`) is a
process of its own that opens no database and speaks HTTP alone. Not here: the endpoint record and the prediction
log (`predictions`), loading and running a model (`runtimes`).
"""
