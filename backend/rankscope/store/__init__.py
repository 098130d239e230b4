"""Functions over a database session: the only place with SQL."""
