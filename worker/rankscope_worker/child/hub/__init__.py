"""Downloads models from the configured hub. Never imports torch."""
