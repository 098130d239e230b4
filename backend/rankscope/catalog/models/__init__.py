"""Models: which there are, and what their files say about them."""
