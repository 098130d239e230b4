"""Rules of the repository itself: folders, names, documentation, and what a new method or task must touch."""
