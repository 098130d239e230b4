"""Compares runs: groups over seeds, cautions, curves on a shared axis, spread of the results, allocations of ranks."""
