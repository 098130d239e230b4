"""Who gets the budget: scores of components, selection, and what one pruning changed."""
