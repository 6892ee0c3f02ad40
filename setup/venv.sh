#!/usr/bin/env bash
# Make a virtual environment in FOLDER with Python 3.11 or later. Usage: setup/venv.sh FOLDER
# Set PYTHON to choose another interpreter.
set -euo pipefail
here=$(dirname "$0")
folder=$1

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; }

find_python() {
    local name
    for name in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" > /dev/null && fits "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

fail() {
    echo "make: $1" >&2
    exit 1
}

python=$(find_python) || {
    "$here/apt.sh" python3 python3-venv || true
    python=$(find_python) || fail "Python 3.11 or later is needed: install python3 and python3-venv, or set PYTHON"
}

# Debian keeps what `python3 -m venv` needs in a package of its own, and a failed attempt leaves half a folder.
if ! "$python" -m venv "$folder" > /dev/null 2>&1; then
    rm -rf "$folder"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "Installing python$version-venv …"
    "$here/apt.sh" "python$version-venv" || "$here/apt.sh" python3-venv \
        || fail "Python cannot make virtual environments: sudo apt install python$version-venv"
    "$python" -m venv "$folder" || fail "$python -m venv $folder failed"
fi
