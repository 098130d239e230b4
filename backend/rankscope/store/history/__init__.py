"""A run's history: its events, and what is computed from them."""
