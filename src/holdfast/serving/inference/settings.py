"""What an inference server is told at start."""

from __future__ import annotations

from pathlib import Path

import msgspec

from holdfast.jobs.records import Sandbox

__all__ = ["InferenceSettings"]


class InferenceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one inference server.

    data_dir: its own folder: models, the last desired state, the log that is not shipped yet.
    public_key: the control plane's key in base64; empty pins the first one seen.
    token: the credential of this server for the control plane.
    url: the address that clients are told; empty is the one that it listens on.
    allow_hosts: names, beside loopback's, by which clients may reach it.
    segment_s, segment_bytes: when a segment of the prediction log is closed and shipped.
    supervised: end when standard input ends.
    """

    control_plane_url: str
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 5001
    replica: str = "local"
    public_key: str = ""
    token: str = ""
    url: str = ""
    allow_hosts: tuple[str, ...] = ()
    supervised: bool = False
    sandbox: Sandbox = "preferred"
    segment_s: float = 5.0
    segment_bytes: int = 16 << 20
    body_bytes: int = 8 << 20
    drain_s: float = 10.0
