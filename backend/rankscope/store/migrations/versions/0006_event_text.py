"""The event's payload as text, so that readers get what was written without decoding and encoding it.

PostgreSQL: the column's type. SQLite has always held text there, and a change of the declared type would copy the table.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE event ALTER COLUMN payload TYPE TEXT USING payload::text")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE event ALTER COLUMN payload TYPE JSON USING payload::json")
