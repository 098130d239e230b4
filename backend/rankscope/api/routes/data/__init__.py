"""Rows of data sets, as a run uses them."""
