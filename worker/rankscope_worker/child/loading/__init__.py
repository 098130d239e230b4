"""Loads tokenizer, model and rows for a training."""
