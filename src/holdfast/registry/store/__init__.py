"""The SQL of the registry, by noun."""

from holdfast.registry.store.aliases import alias_changes, aliases_of, all_aliases, delete_alias, set_alias
from holdfast.registry.store.find import (
    find_model_names,
    find_versions,
    search_aliases,
    search_models,
    search_versions,
)
from holdfast.registry.store.models import (
    all_models,
    delete_model,
    has_model,
    insert_model,
    list_models,
    load_models,
    rename_model,
    update_model,
)
from holdfast.registry.store.tags import put_tags, remove_tag
from holdfast.registry.store.versions import (
    all_versions,
    delete_version,
    find_version,
    insert_version,
    list_versions,
    next_version,
    pending_versions,
    registrations,
    update_version,
)

__all__ = [
    "alias_changes",
    "aliases_of",
    "all_aliases",
    "all_models",
    "all_versions",
    "delete_alias",
    "delete_model",
    "delete_version",
    "find_model_names",
    "find_version",
    "find_versions",
    "has_model",
    "insert_model",
    "insert_version",
    "list_models",
    "list_versions",
    "load_models",
    "next_version",
    "pending_versions",
    "put_tags",
    "registrations",
    "remove_tag",
    "rename_model",
    "search_aliases",
    "search_models",
    "search_versions",
    "set_alias",
    "update_model",
    "update_version",
]
