"""Allocation of the budget: component scores, selection, pruning and compaction."""
