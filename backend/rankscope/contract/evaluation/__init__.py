"""What is stored about an evaluation in addition to its metrics."""
