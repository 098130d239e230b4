"""The data sets of an installation, and their rows, split into training and evaluation."""
