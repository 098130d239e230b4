"""The child process of one attempt: trains, evaluates, saves and records. Torch is loaded only here."""
