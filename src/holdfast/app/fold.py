"""One pass over the monitoring buckets, in a process of its own: Polars and Delta stay out of the worker."""

from __future__ import annotations

import argparse

from holdfast.app.__main__ import settings_of
from holdfast.app.services import open_services
from holdfast.web.logs import configure_logs

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Fold everything that changed, raise alerts, and end."""
    configure_logs("fold", options.log_level)
    services = open_services(settings_of(options))
    try:
        services.monitor.fold_pending()
    finally:
        services.close()
    return 0
