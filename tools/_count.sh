# Sourced by the scripts that start several processes: the first argument is their number.
if ! [[ ${1:-} =~ ^[1-9][0-9]*$ ]]; then
    echo "error: '${1:-}' is no number of processes; give a positive number" >&2
    exit 2
fi
