"""The interpreter that a model runs with: `environments` decides and builds, an executor does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.environments.build import ensure
from holdfast.environments.lock import parse_lock
from holdfast.jobs.records import Executor, Limits, Task

__all__ = ["LOCK_FILE", "python_for"]

LOCK_FILE = "requirements.txt"
_BUILD = Limits(wall_s=1800.0, memory_bytes=4 * 1024**3, threads=2)


def python_for(folder: Path, python: str, executor: Executor, environments: Path) -> Path:
    """The Python executable for the model in `folder`, whose environment lock is `requirements.txt`.

    python: the version that fitted it. environments: where built environments are kept. Raises as
    `environments.build.ensure` does.
    """
    path = folder / LOCK_FILE
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def build(
        command: Sequence[str], *, folder: Path, inputs: Sequence[Path], environment: Mapping[str, str]
    ) -> tuple[int, str]:
        task = Task(
            command=tuple(command),
            scratch=folder,
            inputs=tuple(inputs),
            environment=dict(environment),
            limits=_BUILD,
            network=True,
        )
        result = executor.run(task)
        reason = f" (killed: {result.killed_by})" if result.killed_by else ""
        return result.exit_code, result.stdout + result.stderr + reason

    return ensure(parse_lock(text, python), environments, build)
