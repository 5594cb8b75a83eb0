"""The inference server: a process that answers predictions for every endpoint of the desired state.

It opens no database: it speaks HTTP to the control plane, keeps its models and the last desired state on its own
disk, and so starts and serves while the control plane is away. Every prediction is in its log before the answer.
"""

from __future__ import annotations

from pathlib import Path

from holdfast.kernel.structs import prepare_structs

__all__ = ["main"]


def main(
    *,
    control_plane_url: str,
    data_dir: Path,
    host: str = "127.0.0.1",
    port: int = 5001,
    replica: str = "local",
    supervised: bool = False,
    public_key: str = "",
    token: str = "",
    url: str = "",
    allow_hosts: tuple[str, ...] = (),
) -> int:
    """Serve until SIGTERM, SIGINT or, when supervised, the end of standard input; the exit code.

    `data_dir` is this server's own folder. `public_key` (base64) is the control plane's; empty pins the first one
    seen. `token` is the credential for it; `url` is the address that clients are told, `allow_hosts` are names of
    this server beside loopback's. Raises Conflict when the port or the folder is in use.
    """
    # uvicorn and uvloop: only in the process that serves.
    from holdfast.serving.inference.server import run
    from holdfast.serving.inference.settings import InferenceSettings

    prepare_structs()
    settings = InferenceSettings(
        control_plane_url=control_plane_url,
        data_dir=data_dir,
        host=host,
        port=port,
        replica=replica,
        supervised=supervised,
        public_key=public_key,
        token=token,
        url=url,
        allow_hosts=allow_hosts,
    )
    return run(settings)
