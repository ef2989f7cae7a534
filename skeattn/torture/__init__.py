"""Trainings that are killed, files that are damaged, long runs: measurements of what docs/reliability.md promises."""
