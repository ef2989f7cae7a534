#!/usr/bin/env bash
# Create .venv in the checkout, with a pinned torch and skeattn with the given extras: setup_env.sh vis,tensorboard
#
# Sourced by the other scripts; sets PYTHON. A second call with the same extras does nothing, an interrupted call is
# continued. Environment variables:
#   SKEATTN_PYTHON=/path/to/python  use this environment unchanged and install nothing
#   SKEATTN_BASE_PYTHON=python3.13  create .venv with this Python (default: the first of 3.11, 3.12, 3.13, 3.10)
#   SKEATTN_TORCH=2.4.1             version of torch (default: 2.13.0)
#   SKEATTN_OLDEST=1                of everything else that runs, the oldest versions that pyproject.toml allows
#   SKEATTN_TORCH_INDEX=URL         additional package index for torch, for example that of its CPU builds
set -euo pipefail

setup_env() {
    local extras=$1 torch=${SKEATTN_TORCH:-2.13.0} base=${SKEATTN_BASE_PYTHON:-} oldest=${SKEATTN_OLDEST:-} root venv inputs stamp
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    if [[ -n ${SKEATTN_PYTHON:-} ]]; then
        PYTHON=$SKEATTN_PYTHON
        "$PYTHON" -c 'import torch, mmengine, mmcv' || fail "SKEATTN_PYTHON=$PYTHON lacks torch, mmengine or mmcv; install them"
        return
    fi
    venv=$root/.venv
    PYTHON=$venv/bin/python
    inputs=("$root/setup.py" "$root/pyproject.toml" "${BASH_SOURCE[0]}")
    stamp=$venv/.skeattn-$(cat "${inputs[@]}" <(echo "$extras $torch $base $oldest") | cksum | cut -d' ' -f1)
    [[ -e $stamp && -x $PYTHON ]] && return
    if ! "$PYTHON" -m pip --version &>/dev/null || ! same_python "$PYTHON" "$base"; then
        base=${base:-$(find_python)}
        echo "set-up: creating $venv with $("$base" --version)"
        "$base" -m venv --clear "$venv" || fail "cannot create $venv; on Debian and Ubuntu: apt install python3-venv"
    fi
    echo "set-up: installing torch $torch and skeattn[$extras] (once; needs a network or a local package index)"
    if [[ -n $oldest ]]; then
        oldest_versions "$root/pyproject.toml" > "$venv/oldest.txt"
        export PIP_CONSTRAINT=$venv/oldest.txt
    fi
    if ! "$PYTHON" -c "import torch; assert torch.__version__.startswith('$torch')" &>/dev/null; then
        rm -f "$venv"/.skeattn-*  # stamps of a different torch
        install "torch==$torch" ${SKEATTN_TORCH_INDEX:+--extra-index-url "$SKEATTN_TORCH_INDEX"}
    fi
    # mmcv and mmcv-lite both work, but installing one over the other breaks both.
    "$PYTHON" -c 'import mmcv' &>/dev/null || extras=mmcv,$extras
    install --editable "$root[$extras]" "torch==$torch"
    if ! "$PYTHON" -c 'import cv2' &>/dev/null; then
        echo 'set-up: cv2 needs a display library that is missing here; installing opencv-python-headless instead'
        local version
        version=$("$PYTHON" -c 'from importlib.metadata import version; print(version("opencv-python"))')
        "$PYTHON" -m pip uninstall --quiet --yes opencv-python
        # Both write to the same folder; another version may need another numpy.
        install --force-reinstall --no-deps "opencv-python-headless==$version"
        "$PYTHON" -c 'import cv2' || fail 'cv2 cannot be imported even without display; see the message above'
    fi
    "$PYTHON" -c 'import skeattn.engine'
    touch "$stamp"
}

install() {
    local quiet=--quiet
    [[ -t 1 ]] && quiet=
    "$PYTHON" -m pip install --disable-pip-version-check $quiet "$@"
}

# The lower bounds in a pyproject.toml as constraints of pip, apart from torch and from what only developers need.
oldest_versions() {
    sed -n '/^dependencies = \[/,/^dev = \[/p' "$1" | grep -oE '"[A-Za-z0-9_-]+>=[0-9.]+' | grep -v '^"torch>' | sed 's/^"//; s/>=/==/'
}

# Whether an environment has the requested Python; true without a request.
same_python() { [[ -z $2 || $("$1" --version) == "$("$2" --version)" ]]; }

find_python() {
    local candidate
    for candidate in python3.11 python3.12 python3.13 python3.10 python3 python; do
        if "$candidate" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' &>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail 'no Python 3.10 to 3.13 found; install one, or set SKEATTN_PYTHON to an environment with skeattn'
}

fail() {
    echo "error: $1" >&2
    exit 2
}

setup_env "${1:-vis,tensorboard}"
export PYTHON
