#!/bin/sh
# The Debian packages that the tests use: a browser, the sandbox for other people's code, a database server, and Go,
# whose packages judge the audit log.
# With the argument full also what `make test-full` alone uses: the checker of Prometheus' figures.
# Installed when run as root; else their tests are skipped with this reason.
set -eu
missing=
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
command -v git >/dev/null 2>&1 || missing="$missing git"
command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
if [ "${1:-}" = full ]; then
    command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
fi
command -v go >/dev/null 2>&1 || missing="$missing golang-go"
[ -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ] || missing="$missing golang-golang-x-mod-dev"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing$missing ..."
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Missing for some tests, which will be skipped:$missing"
    echo "Install them with: sudo apt-get install$missing"
fi
