"""Several processes, started as a user starts them."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def launch(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
    env = {**os.environ, 'PYTHON': sys.executable, **environment}
    return subprocess.run([str(ROOT / 'tools' / script), *map(str, arguments)], env=env, capture_output=True, text=True)
