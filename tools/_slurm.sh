#!/usr/bin/env bash
# Start one process per GPU by Slurm: _slurm.sh GPUS SCRIPT [ARGS...]
# PARTITION, JOB_NAME, GPUS_PER_NODE (8), CPUS_PER_TASK (4), SRUN_ARGS (further options of srun) and PYTHON change the job.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
gpus=$1
shift
source "$here/_count.sh" "$gpus"
per_node=${GPUS_PER_NODE:-8}
((per_node > gpus)) && per_node=$gpus
if ! command -v srun >/dev/null; then
    echo 'error: no srun on this machine; without Slurm use tools/dist_train.sh or tools/dist_test.sh' >&2
    exit 2
fi

export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
# shellcheck disable=SC2086  # SRUN_ARGS holds several options
exec srun ${PARTITION:+--partition="$PARTITION"} --job-name="${JOB_NAME:-skeattn}" \
    --gres="gpu:$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-4}" \
    --kill-on-bad-exit=1 ${SRUN_ARGS:-} "${PYTHON:-python}" -u "$@" --launcher slurm
