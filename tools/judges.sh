#!/bin/sh
# Make .venv-$1 from constraints-$1.txt: third parties' programs that judge ours, apart from our own environment
# because they pin other versions. $1: judges, libraries (what our client is used with), scanner, mlflow-server (its own server, for benchmarks), trackio (too), or a client of MLflow
# (mlflow-2, mlflow-36, mlflow-317).
set -eu
group=$1
venv=.venv-$group
if [ -e "$venv/.set-up" ] && [ "$venv/.set-up" -nt "constraints-$group.txt" ]; then exit 0; fi
echo "Setting up $venv (a minute on the first time) ..."
[ -x "$venv/bin/python" ] || .venv/bin/python -m venv --without-pip "$venv"
.venv/bin/uv pip install -q --python "$venv/bin/python" --require-hashes -r "constraints-$group.txt"
touch "$venv/.set-up"
