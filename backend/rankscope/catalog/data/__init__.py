"""Data sets: which there are, and their rows, divided into training and evaluation."""
