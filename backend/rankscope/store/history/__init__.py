"""What a run did: its events, and what is computed from them."""
