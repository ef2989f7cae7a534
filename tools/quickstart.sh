#!/usr/bin/env bash
# Produce a table and pictures in a few minutes on two CPU cores: set-up, generated data, two pre-trainings, KNN and
# linear evaluation. Arguments are passed to quickstart.py (--help). Results: work_dirs/quickstart/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh vis,tensorboard
# With one thread per process, sums and the table do not depend on the number of cores.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
exec "$PYTHON" tools/quickstart.py "$@"
