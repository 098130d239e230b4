"""The list of runs: fields, the filter language, order, pages, and what has changed."""
