"""Many runs, resumable, each with a record; and tables made of records."""

from skeattn.experiments.data import prepare_data
from skeattn.experiments.execute import Failure, execute
from skeattn.experiments.plan import Plan, make_plan
from skeattn.experiments.process import Clock, Job
from skeattn.experiments.run import Run, train_command
from skeattn.experiments.table import NOTE, Row, clips_seen, make_rows, render
from skeattn.experiments.tables import Filled, fill, read_records

__all__ = [
    'NOTE',
    'Clock',
    'Failure',
    'Filled',
    'Job',
    'Plan',
    'Row',
    'Run',
    'clips_seen',
    'execute',
    'fill',
    'make_plan',
    'make_rows',
    'prepare_data',
    'read_records',
    'render',
    'train_command',
]
