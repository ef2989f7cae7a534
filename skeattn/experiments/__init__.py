"""Resumable runs, each with a record, and tables made from records."""
