"""Whole installations: server, broker, workers and trainings, as `rankscope up` or a deployment starts them."""
