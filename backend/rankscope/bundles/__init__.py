"""Imports a run's bundle, which `exports.bundle` writes, into this installation."""
