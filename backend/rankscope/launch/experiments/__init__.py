"""Experiments: from a request to trials, their runs, and their results."""
