#!/usr/bin/env bash
# Run set-up, linters, type checks and tests: run_tests.sh [arguments of pytest], for example: run_tests.sh -m "not slow"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh vis,tensorboard,dev,docs
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
unset PYTHONDONTWRITEBYTECODE  # hundreds of processes would each compile the package

failed=()
stage() {
    local start=$SECONDS
    echo "== $1"
    "${@:2}" || failed+=("$1")
    echo "== $1: $((SECONDS - start)) s"
}

stage 'ruff check' "$PYTHON" -m ruff check .
stage 'ruff format' "$PYTHON" -m ruff format --check .
# Types are those of current packages: old ones declare fewer and other ones.
[[ -n ${SKEATTN_OLDEST:-} ]] || stage mypy "$PYTHON" -m mypy
report=$(mktemp)
trap 'rm -f "$report"' EXIT
stage pytest "$PYTHON" -m pytest -q -n auto --maxprocesses 8 --dist worksteal --durations 10 --junitxml "$report" "$@"
"$PYTHON" - "$report" <<'EOF'
import os
import sys
from collections import Counter
from xml.etree import ElementTree

seconds, tests = Counter(), Counter()
cases = ElementTree.parse(sys.argv[1]).iter('testcase') if os.path.getsize(sys.argv[1]) else ()
for case in cases:
    group = '/'.join(case.get('classname', '').split('.')[:2])
    seconds[group] += float(case.get('time', 0))
    tests[group] += 1
print('== time per group (summed over processes)')
for group, total in seconds.most_common():
    print(f'{total:8.1f} s  {tests[group]:5d} tests  {group}')
EOF
if ((${#failed[@]})); then
    printf '== FAILED: %s\n' "${failed[*]}"
    exit 1
fi
echo "== all passed in $SECONDS s"
