#!/usr/bin/env bash
# Pre-train with several processes: tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# One process per GPU; without a GPU the same number of CPU processes. batch_size in the config is the total.
if (($# < 2)); then
    echo "usage: $0 CONFIG GPUS [arguments of train.py]" >&2
    exit 2
fi
here=$(dirname "${BASH_SOURCE[0]}")
exec bash "$here/_launch.sh" "$2" "$here/train.py" "$1" "${@:3}"
