"""What is wrong with a run, or may be, and what to do about it."""
