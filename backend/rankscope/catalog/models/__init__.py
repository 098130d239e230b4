"""The models of an installation, and what is known about them from their files."""
