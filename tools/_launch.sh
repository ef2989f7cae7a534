#!/usr/bin/env bash
# Start one process per GPU (CPU processes without a GPU) on this machine: _launch.sh GPUS SCRIPT [ARGS...]
# Several machines: set NNODES, MASTER_ADDR and PORT equally on each, and NODE_RANK to the number of the machine.
# MAX_RESTARTS: how often all processes are started again when one has died; needs --resume, or they would begin anew.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
gpus=$1
shift
source "$here/_count.sh" "$gpus"

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

present, requested = torch.cuda.device_count(), int(sys.argv[1])
if torch.cuda.is_available() and requested > present:
    print(f'error: {requested} GPUs requested, {present} present; request at most {present}, '
          f'or hide them (CUDA_VISIBLE_DEVICES=) to use {requested} CPU processes', file=sys.stderr)
    sys.exit(2)
EOF

if [[ -n ${PORT:-} && ${NODE_RANK:-0} == 0 ]] && ! "$python" -c 'import socket, sys; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("", int(sys.argv[1])))' "$PORT" 2>/dev/null; then
    echo "error: PORT=$PORT is in use or no port; choose another one, or leave it out on a single machine" >&2
    exit 2
fi
if [[ ${MAX_RESTARTS:-0} != 0 && " $* " != *" --resume "* ]]; then
    echo "error: MAX_RESTARTS=$MAX_RESTARTS without --resume would train from the beginning each time; pass --resume as well" >&2
    exit 2
fi
free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
cores=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > gpus ? cores / gpus : 1))}
# glibc keeps freed blocks of up to 32 MB; returning large blocks nearly halves the memory of a CPU process.
export MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_:-1048576}
export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
address=${MASTER_ADDR:-127.0.0.1} port=${PORT:-$(free_port)}
if [[ ${MAX_RESTARTS:-0} == 0 ]]; then
    meeting=(--node-rank="${NODE_RANK:-0}" --master-addr="$address" --master-port="$port")
else # each start with a store of its own: one that is shared holds the addresses of the processes before
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    meeting=(--max-restarts="$MAX_RESTARTS" --rdzv-backend=c10d --rdzv-endpoint="$address:$port" --rdzv-id=skeattn)
    [[ ${NNODES:-1} == 1 ]] && meeting+=(--local-addr=127.0.0.1)
fi
exec "$python" -m torch.distributed.run --nnodes="${NNODES:-1}" --nproc-per-node="$gpus" "${meeting[@]}" \
    "$@" --launcher pytorch
