#!/usr/bin/env bash
# Evaluate a checkpoint with several processes: tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
if (($# < 3)); then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of test.py]" >&2
    exit 2
fi
here=$(dirname "${BASH_SOURCE[0]}")
exec bash "$here/_launch.sh" "$3" "$here/test.py" "$1" "$2" "${@:4}"
