"""The bubblewrap command line of a task: what it sees of this machine, which is as little as Python needs.

The root is an empty read-only file system with the system's libraries, the interpreter of the command, the
task's inputs (read only) and its scratch folder (writable). Hidden folders get an empty read-only one on top,
wherever they lie. Own process, network, user, IPC and mount namespaces; no capabilities; dies with its
parent.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from holdfast.jobs.interpreter import interpreter_paths
from holdfast.jobs.records import Task

__all__ = ["find_bubblewrap", "sandboxed"]

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/gnu")
_ETC = (
    "alternatives",
    "ca-certificates",
    "group",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "passwd",
    "pki",
    "resolv.conf",
    "ssl/certs",
    "ssl/openssl.cnf",
)
# ONNX Runtime and OpenBLAS count cores here.
_PROCESSOR = ("/sys/devices/system/cpu", "/sys/devices/system/node")
_NAMESPACES = (
    "--unshare-user",
    "--disable-userns",
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--die-with-parent",
    "--cap-drop",
    "ALL",
)
_KERNEL_MOUNTS = ("--proc", "/proc", "--dev", "/dev")


def find_bubblewrap() -> tuple[str | None, str]:
    """The path of a bubblewrap that works here and "", or None and why there is none."""
    path = shutil.which("bwrap", path=os.environ.get("PATH", os.defpath) + ":/usr/bin:/usr/local/bin")
    if path is None:
        return None, "bubblewrap (bwrap) is not installed"
    trial = [path, *_NAMESPACES, "--unshare-net", *_system_mounts(), *_KERNEL_MOUNTS, "true"]
    try:
        done = subprocess.run(trial, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{path} does not run: {error}"
    if done.returncode != 0:
        return None, f"{path} does not work here: {done.stderr.decode(errors='replace').strip()[-300:]}"
    return path, ""


def sandboxed(task: Task, bubblewrap: str, hidden: Sequence[Path]) -> list[str]:
    """The command that runs the task's command in the sandbox."""
    temporary = str(max(64 * 1024**2, task.limits.memory_bytes // 4))
    line = [bubblewrap, *_NAMESPACES]
    line += [] if task.network else ["--unshare-net"]
    line += _system_mounts()
    line += _KERNEL_MOUNTS
    line += ["--size", temporary, "--perms", "1777", "--tmpfs", "/dev/shm"]
    line += ["--size", temporary, "--perms", "1777", "--tmpfs", "/tmp"]
    line += _task_mounts(task, hidden)
    line += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(task.scratch), "--"]
    return line + list(task.command)


def _system_mounts() -> list[str]:
    """Libraries and programs of the system, and the few files of /etc that name and locale look-ups read."""
    mounts: list[str] = []
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            mounts += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            mounts += ["--ro-bind", str(path), str(path)]
    for path in [*(Path("/etc", name) for name in _ETC), *map(Path, _PROCESSOR)]:
        if path.exists():
            mounts += ["--ro-bind", str(path.resolve()), str(path)]
    return mounts


def _task_mounts(task: Task, hidden: Iterable[Path]) -> list[str]:
    """Binds and empty folders, parents before children: the deepest path has the last word, and a hidden
    folder that is also named as an input stays hidden.
    """
    mounts: dict[Path, tuple[str, ...]] = {}
    for path in [*interpreter_paths(Path(task.command[0])), *task.inputs]:
        mounts[path] = ("--ro-bind", str(path), str(path))
    mounts[task.scratch] = ("--bind", str(task.scratch), str(task.scratch))
    masks = [path for path in (each.resolve() for each in hidden) if path.is_dir()]
    for path in masks:
        mounts[path] = ("--perms", "0555", "--tmpfs", str(path))
    ordered = [part for path in sorted(mounts, key=lambda path: len(path.parts)) for part in mounts[path]]
    for path in masks:
        ordered += ["--remount-ro", str(path)]
    return ordered
