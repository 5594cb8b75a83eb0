"""Trees of files and their digests: what a version *is*; how bytes are cut into chunks, chunks lie in packs, and
many files travel in one bundle. Pure; trees and bundles are used by the client too.

Not here: storing bytes (`storage`).
"""

from holdfast.chunks.bundle import BUNDLE_LIMIT, BUNDLE_TYPE, bundle_head, read_bundle
from holdfast.chunks.tree import TreeFile, check_path, tree_digest

__all__ = [
    "BUNDLE_LIMIT",
    "BUNDLE_TYPE",
    "TreeFile",
    "bundle_head",
    "check_path",
    "read_bundle",
    "tree_digest",
]
