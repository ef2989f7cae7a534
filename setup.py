"""The package; its metadata stand in pyproject.toml. A wheel also carries the configs and the scripts of the checkout."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHARED = ('configs', 'tools')
"""Folders of the checkout that ``skeattn.toolbox`` finds in ``skeattn/share`` of a wheel."""
OMITTED = ('__pycache__', 'setup_env.sh', 'run_tests.sh', 'quickstart.*', 'gpu_check.*')
"""What only a checkout can run."""


class BuildWithShare(build_py):
    """Copies the shared folders into the package; an editable installation finds them in the checkout."""

    def run(self):
        """Build the package."""
        super().run()
        if self.editable_mode:
            return
        for name in SHARED:
            target = Path(self.build_lib, 'skeattn/share', name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(name, target, ignore=shutil.ignore_patterns(*OMITTED))


setup(cmdclass={'build_py': BuildWithShare})
