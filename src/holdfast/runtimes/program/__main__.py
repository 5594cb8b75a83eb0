"""Starts the program: `python -I __main__.py prepare MODEL_FOLDER OUT_FOLDER` or `serve MODEL_FOLDER`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

_NAME = "holdfast_program"  # the folder as a package of its own: no folder of holdfast gets on sys.path


def _load_package() -> None:
    here = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        _NAME, here / "__init__.py", submodule_search_locations=[str(here)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module
    spec.loader.exec_module(module)


def _main() -> int:
    if len(sys.argv) < 3 or sys.argv[1] not in ("prepare", "serve"):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    _load_package()
    command = importlib.import_module(f"{_NAME}.{sys.argv[1]}")
    return int(command.main([Path(argument) for argument in sys.argv[2:]]))


if __name__ == "__main__":
    sys.exit(_main())
