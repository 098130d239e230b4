"""From a draft to a queued run: plan, method switch, changes, forks, baselines, and the message that wakes a worker."""
