"""Shapes that server and worker agree on. Imports only the standard library, pydantic and sqlmodel."""
