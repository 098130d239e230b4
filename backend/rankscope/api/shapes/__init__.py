"""What the API takes and returns, and how it is built from table rows."""
