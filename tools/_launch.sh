#!/usr/bin/env bash
# Start one process per GPU (or CPU process where there is no GPU) on this machine: _launch.sh GPUS SCRIPT [ARGS...]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT alike on each.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
gpus=$1
shift
if ! [[ $gpus =~ ^[1-9][0-9]*$ ]]; then
    echo "error: the number of processes must be a positive number, not '$gpus'" >&2
    exit 2
fi

for python in "${PYTHON:-}" "${VIRTUAL_ENV:-/none}/bin/python" python "$here/../.venv/bin/python" python3; do
    if [[ -n $python ]] && "$python" -c 'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ("torch", "mmengine"))))' 2>/dev/null; then
        break
    fi
    python=
done
if [[ -z $python ]]; then
    echo 'error: no Python with torch and mmengine found; activate the environment, or set PYTHON=/path/to/python' >&2
    exit 2
fi

"$python" - "$gpus" <<'EOF'
import sys

import torch

present, wanted = torch.cuda.device_count(), int(sys.argv[1])
if torch.cuda.is_available() and wanted > present:
    print(f'error: {wanted} GPUs asked for, {present} present; ask for at most {present}, '
          f'or hide them (CUDA_VISIBLE_DEVICES=) to use {wanted} CPU processes', file=sys.stderr)
    sys.exit(2)
EOF

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
cores=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > gpus ? cores / gpus : 1))}
# glibc keeps freed blocks of up to 32 MB; large ones given back, a CPU process needs little more than half the memory.
export MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_:-1048576}
export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node-rank="${NODE_RANK:-0}" --nproc-per-node="$gpus" \
    --master-addr="${MASTER_ADDR:-127.0.0.1}" --master-port="${PORT:-$(free_port)}" \
    "$@" --launcher pytorch
