"""Data sets: their versions, uploads and imports, and rows as a run uses them."""
