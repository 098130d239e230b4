"""Sweeps: one configuration, parameters with their ranges, and a search over them."""
