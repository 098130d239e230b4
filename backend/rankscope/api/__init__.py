"""The REST API: one router file a noun. Paths start with /api/v1."""
