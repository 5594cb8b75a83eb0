"""Trees of files and their digests: what a version *is*. Pure; used by the client and by the server.

Not here: storing bytes (`storage`).
"""

from holdfast.chunks.tree import TreeFile, check_path, tree_digest

__all__ = ["TreeFile", "check_path", "tree_digest"]
