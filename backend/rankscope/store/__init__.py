"""Functions over a database session: the one place that writes SQL."""
