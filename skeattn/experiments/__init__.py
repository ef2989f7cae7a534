"""Resumable runs, each with a record, and tables made from records."""

from skeattn.experiments.comparison import NOTE, ComparisonRow, clips_seen, make_rows, render
from skeattn.experiments.data import prepare_data
from skeattn.experiments.execute import Failure, execute
from skeattn.experiments.paper_tables import FilledTable, fill, read_records
from skeattn.experiments.plan import Plan, plan_paper_tables
from skeattn.experiments.process import Clock, Job
from skeattn.experiments.run import Run, train_command

__all__ = [
    'NOTE',
    'Clock',
    'ComparisonRow',
    'Failure',
    'FilledTable',
    'Job',
    'Plan',
    'Run',
    'clips_seen',
    'execute',
    'fill',
    'make_rows',
    'plan_paper_tables',
    'prepare_data',
    'read_records',
    'render',
    'train_command',
]
