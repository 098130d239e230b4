"""A method for tests: its two halves, and a program that uses them (`tests/house/test_a_new_method.py`)."""
