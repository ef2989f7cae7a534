"""Packaging of skeattn."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r"__version__ = '(.+)'", (here / 'skeattn' / '__init__.py').read_text()).group(1)

setup(
    name='skeattn',
    version=version,
    description='Self-supervised skeleton action recognition: SkeAttnCLR and the methods around it',
    long_description=(here / 'README.md').read_text() if (here / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['skeattn', 'skeattn.*']),
    package_data={'skeattn': ['py.typed', 'datasets/data/*.txt', 'visualization/*.html', 'protocols/builtin/*.py']},
    install_requires=[
        'torch>=2.4,<2.14',
        'mmengine>=0.10.7,<0.11',
        'numpy>=1.26',
        'scipy>=1.11',
        'tabulate>=0.9',
    ],
    extras_require={
        'mmcv': ['mmcv-lite>=2.1'],
        'vis': ['matplotlib>=3.8', 'pillow>=10', 'scikit-learn>=1.4'],
        'tensorboard': ['tensorboard>=2.16'],
        'dev': ['pytest>=8', 'pytest-cov>=5', 'pytest-xdist>=3', 'hypothesis>=6.100', 'ruff>=0.6', 'mypy>=1.10'],
    },
)
