#!/bin/sh
# Makes .venv and installs into it: install.sh STAMP [EXTRA...]. Run from the project's folder.
# Everything is called as `python -m`: console scripts break where the path is long or has spaces.
set -eu
stamp=$1
shift
python=.venv/bin/python

find_python() {
    for name in "${PYTHON:-python3}" python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

# Two at once would spoil each other's .venv; pip inherits the lock, should only this shell be killed.
exec 9< "$0"
if command -v flock >/dev/null 2>&1; then flock 9; fi

# The mark stays when pip is killed or interrupted, not when it says that it failed.
pip_install() {
    touch .venv/interrupted
    status=0
    "$python" -m pip install --no-input --disable-pip-version-check -q "$@" || status=$?
    [ "$status" -ge 128 ] || rm -f .venv/interrupted
    return "$status"
}

if [ -e .venv/interrupted ]; then
    echo "The last installation was interrupted: making .venv anew"
    rm -rf .venv
fi
if ! "$python" -m pip --version >/dev/null 2>&1; then
    base=$(find_python)
    if [ -z "$base" ]; then
        echo "Python 3.11 or newer is needed: apt install python3, or set PYTHON=/path/to/python" >&2
        exit 1
    fi
    if ! "$base" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "Python has no venv here: apt install python3-venv, then run this again" >&2
        exit 1
    fi
    rm -rf .venv
    echo "Making .venv"
    "$base" -m venv .venv
fi

# An index may offer torch's CPU build, a tenth of the size of the CUDA build: ask for it first.
torch=$(sed -n 's/^torch==/torch==/p' constraints.txt)
if ! "$python" -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null; then
    echo "Installing $torch"
    if [ -n "${TORCH_INDEX:-}" ]; then
        pip_install -c constraints.txt --index-url "$TORCH_INDEX" torch
    elif ! pip_install -c constraints.txt "$torch+cpu" 2>/dev/null; then
        echo "No CPU build of torch found, taking the default one (on x86 Linux some GB with CUDA);"
        echo "to choose another: make install TORCH_INDEX=<address of a wheel index>"
        pip_install -c constraints.txt torch
    fi
fi

echo "Installing packages${*:+ for $*}"
"$python" scripts/requirements.py "$@" > .venv/requirements.txt
pip_install -c constraints.txt -r .venv/requirements.txt
touch "$stamp"
