"""Converts JSON lines with results of trainings that ran elsewhere to a design and trials."""
