#!/usr/bin/env bash
# Pre-train by Slurm, on one or several machines: tools/slurm_train.sh CONFIG GPUS [arguments of train.py]
# One process per GPU; batch_size in the config is the total. Environment variables: see _slurm.sh
if (($# < 2)); then
    echo "usage: $0 CONFIG GPUS [arguments of train.py]" >&2
    exit 2
fi
here=$(dirname "${BASH_SOURCE[0]}")
exec bash "$here/_slurm.sh" "$2" "$here/train.py" "$1" "${@:3}"
