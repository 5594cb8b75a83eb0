"""holdfast keeps a machine-learning model under control for its whole life.

The public names below are loaded on first use, so that `import holdfast` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from holdfast.version import __version__

if TYPE_CHECKING:
    from holdfast import optuna
    from holdfast.client.active import ActiveRun
    from holdfast.client.client import Client
    from holdfast.client.session import (
        active_run,
        finish_run,
        init,
        log_artifact,
        log_dict,
        log_figure,
        log_image,
        log_metric,
        log_metrics,
        log_model,
        log_param,
        log_params,
        log_table,
        log_text,
        set_tag,
        set_tags,
        start_run,
    )
    from holdfast.kernel import errors

__all__ = [
    "ActiveRun",
    "Client",
    "__version__",
    "active_run",
    "errors",
    "finish_run",
    "init",
    "log_artifact",
    "log_dict",
    "log_figure",
    "log_image",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "optuna",
    "set_tag",
    "set_tags",
    "start_run",
]

_MODULES = {"errors": "holdfast.kernel.errors", "optuna": "holdfast.optuna"}
_HOMES = {"ActiveRun": "holdfast.client.active", "Client": "holdfast.client.client"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = importlib.import_module(_MODULES[name])
    elif name in __all__:
        value = getattr(importlib.import_module(_HOMES.get(name, "holdfast.client.session")), name)
    else:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
