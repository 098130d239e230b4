"""The training process of one attempt: trains, evaluates, saves and records. Only this package imports torch."""
