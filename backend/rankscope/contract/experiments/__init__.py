"""Experiments: methods compared at several budgets and seeds, their trials, and the answer."""
