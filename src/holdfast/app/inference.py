"""The inference server's process."""

from __future__ import annotations

import argparse

from holdfast.serving.inference import main
from holdfast.web.logs import configure_logs

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Serve the workspace's endpoints until SIGTERM, or until the server that started it is gone."""
    configure_logs("inference", options.log_level)
    return main(
        host=options.host,
        port=options.port,
        control_plane_url=options.server,
        data_dir=options.data.absolute(),
        supervised=options.supervised,
    )
