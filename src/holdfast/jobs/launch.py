"""Sets the limits of a task on itself and becomes the task: `python -I -S launch.py LIMITS_JSON COMMAND...`.

A program of its own, because limits that are set between fork and exec in a threaded server can deadlock it.
Only the standard library; imports nothing of holdfast.
"""

import json
import os
import resource
import sys

__all__: list[str] = []

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def _limit(kind: int, value: int) -> None:
    """Lower a limit to `value`, never above the hard limit that is in force."""
    hard = resource.getrlimit(kind)[1]
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (ceiling, ceiling))


def _die_with(parent: int) -> None:
    """Be killed when the parent ends, also when it ended before this line."""
    if sys.platform != "linux":
        return
    import ctypes  # only here: costs 10 ms

    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit(128 + _SIGKILL)


def _offer_to_the_oom_killer() -> None:
    """When the machine runs out of memory, the task goes before the server does."""
    if sys.platform == "linux":
        try:
            with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123  pathlib costs 5 ms
                file.write("1000")
        except OSError:
            return  # /proc is read-only in some containers; the limits below hold all the same


def main() -> None:
    """Apply the limits and exec the command; exit code 127 when there is no such command."""
    limits, command = json.loads(sys.argv[1]), sys.argv[2:]
    _die_with(limits["parent"])
    _offer_to_the_oom_killer()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, limits["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, limits["file_bytes"])
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
