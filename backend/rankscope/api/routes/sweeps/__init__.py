"""Sweeps: launch and steer them, and read their results."""
