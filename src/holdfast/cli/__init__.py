"""The `holdfast` command: noun, then verb. It speaks HTTP through the client and starts the server's
processes.

Each noun is a module, loaded when it is used, so that a command starts fast. Exit codes: 0 done, 1 refused or
failed, 2 wrong usage. Not here: anything of the server; `server`, `worker` and `serve` start `holdfast.app`.
"""

from holdfast.cli.main import main

__all__ = ["main"]
