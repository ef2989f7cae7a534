#!/usr/bin/env bash
# Evaluate a checkpoint by Slurm: tools/slurm_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
# Environment variables: see _slurm.sh
if (($# < 3)); then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of test.py]" >&2
    exit 2
fi
here=$(dirname "${BASH_SOURCE[0]}")
exec bash "$here/_slurm.sh" "$3" "$here/test.py" "$1" "$2" "${@:4}"
