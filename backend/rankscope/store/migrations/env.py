"""Alembic's entry point: runs the migrations on the connection from `store.database.schema`."""

from alembic import context
from sqlmodel import SQLModel

from rankscope.contract import tables

assert tables.Run.metadata is SQLModel.metadata  # importing the tables fills it

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
