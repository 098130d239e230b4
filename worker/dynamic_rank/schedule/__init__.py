"""Options, and the budget at every step. Imports no torch."""
