"""The inference server's process."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from holdfast.kernel.errors import Unavailable
from holdfast.serving.inference import main
from holdfast.web.logs import configure_logs

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Serve the workspace's endpoints until SIGTERM, or until the server that started it is gone."""
    configure_logs("inference", options.log_level)
    return main(
        host=options.host,
        port=options.port,
        replica=options.replica,
        control_plane_url=options.server,
        data_dir=options.data.absolute(),
        token=_token(options.token_file),
        url=options.url,
        allow_hosts=tuple(options.allow_host or ()),
        supervised=options.supervised,
    )


def _token(path: Path | None) -> str:
    """The token for the control plane: from the file, else HOLDFAST_TOKEN."""
    if path is None:
        return os.environ.get("HOLDFAST_TOKEN", "")
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(
            f"The token file {path} can't be read: {error}.", hint="Check its rights."
        ) from error
