"""A task for tests: its two halves, and a program that uses them (`tests/test_a_new_task.py`)."""
