#!/bin/sh
# Installs what the tests need in addition to Python and Node, if it is missing: Chromium for the browser tests, and a C compiler,
# because those of GPU detection build a stand-in for NVIDIA's library. As root on Debian only; others install it themselves.
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # shellcheck disable=SC2086  # several names
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; } ||
        echo "Could not install$missing; the tests that need them will fail." >&2
fi
