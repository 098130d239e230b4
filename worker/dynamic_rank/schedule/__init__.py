"""What is decided before training: the options and the budget of every step. Never imports torch."""
