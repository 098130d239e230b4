"""From a request to the trials of a sweep: its design, the runs of trials, their results, and the next trials."""
