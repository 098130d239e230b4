"""A toy method and a toy task for tests: their halves, and a program that uses them (`tests/house/test_additions.py`)."""
