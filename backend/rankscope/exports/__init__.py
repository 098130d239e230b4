"""What a person takes away from a run: a report of one page, and a bundle with everything."""
