"""The fault harness: runs the real stack, breaks it at random moments, and holds what must never be lost. `make faults`."""
