"""What you can download from a run: the adapter, a one-page report, and a bundle with everything."""
