#!/bin/sh
# Make the virtual environment $1 from constraints.txt. Needs Python 3.11 or newer and nothing else.
set -eu
venv=$1
python=
for candidate in python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo 'holdfast needs Python 3.11, 3.12 or 3.13 for its server; none was found on PATH.' >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    else
        echo "Python's venv module is missing. Install it with: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi
echo "Setting up $venv (a minute on the first time) ..."
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
# uv itself comes with the version and the hashes that constraints.txt pins.
"$venv/bin/python" - <<'PY' >"$venv/uv.txt"
import re
from pathlib import Path
pins = re.split(r"\n(?=\S)", Path("constraints.txt").read_text())
print(next(pin for pin in pins if pin.startswith("uv==")))
PY
"$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r "$venv/uv.txt"
"$venv/bin/uv" pip install -q --compile-bytecode --python "$venv/bin/python" --require-hashes -r constraints.txt
"$venv/bin/uv" pip install -q --python "$venv/bin/python" --no-deps --no-build-isolation -e .
