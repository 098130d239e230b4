"""The REST API: one router file per noun. Paths start with /api/v1."""
