"""From a draft to a queued run: its plan, its options, changes to it, forks, and the message that wakes a worker."""
