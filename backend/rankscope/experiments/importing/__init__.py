"""Results of trainings made elsewhere, from JSON lines to a design and trials."""
