"""Checkpoints and exported adapters."""
