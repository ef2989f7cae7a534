#!/usr/bin/env bash
# Check a machine with a GPU and write one page: gpu_check.sh [MINUTES] [OPTIONS] (--help)
# Set-up, tests, benchmark, profile, an epoch at NTU-60 size, recipes, within MINUTES (30). The same command continues
# after an interruption. Results: work_dirs/gpu_check/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh dev
exec "$PYTHON" tools/analysis_tools/gpu_check.py --elapsed "$SECONDS" "$@"
