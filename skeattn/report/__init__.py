"""A page on trainings, in one file for the browser: numbers, curves, classes, a map of clips that play."""

from skeattn.report.content import write_report
from skeattn.report.embedding import MapOptions

__all__ = ['MapOptions', 'write_report']
