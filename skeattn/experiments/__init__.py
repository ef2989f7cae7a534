"""Many runs, resumable, each with a record; and tables made of records."""

from skeattn.experiments.data import prepare_data
from skeattn.experiments.execute import Failure, execute
from skeattn.experiments.process import Clock, Job
from skeattn.experiments.run import Run, train_command
from skeattn.experiments.table import NOTE, Row, clips_seen, make_rows, render

__all__ = [
    'NOTE',
    'Clock',
    'Failure',
    'Job',
    'Row',
    'Run',
    'clips_seen',
    'execute',
    'make_rows',
    'prepare_data',
    'render',
    'train_command',
]
