"""Request and response bodies, and how they are built from table rows."""
