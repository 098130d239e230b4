"""What is stored of an evaluation besides its metrics."""
