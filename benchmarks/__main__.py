"""`python -m benchmarks [NAME]...`: run benchmarks; without a name, all of them."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "startup",
    "client",
    "reads",
    "serving",
    "replicas",
    "audit",
    "objects",
    "memory",
    "tracking",
    "pages",
)


def main(names: list[str]) -> int:
    """Run the named benchmarks; the exit code."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}. There are: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    for name in names or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
