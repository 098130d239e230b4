"""The connection to the database, its schema, and whether it can be used."""
