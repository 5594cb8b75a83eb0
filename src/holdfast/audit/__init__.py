"""The audit log: one Merkle tree (RFC 6962) over every change of a governed object.

Other rooms append through `service.append` as the last statement of their transaction, so that a change and
its entry stand or fall together. Not here: metrics, params, tags and artifacts of a running run, predictions,
heartbeats and views, which are not governed.
"""
