#!/usr/bin/env bash
# Install Debian packages if this user may; otherwise fail and change nothing. Usage: setup/apt.sh PACKAGE…
set -euo pipefail

command -v apt-get > /dev/null || exit 1
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null && sudo -n true 2> /dev/null || exit 1
    as_root=(sudo -n)
fi

install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" > /dev/null
}

# Fresh machines have no package lists, others may have stale ones.
install "$@" 2> /dev/null || { "${as_root[@]}" apt-get update -qq > /dev/null && install "$@"; }
