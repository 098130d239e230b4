"""Backup of an installation to one file, and restore from it."""
