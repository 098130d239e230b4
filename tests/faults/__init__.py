"""The fault harness: runs the real stack, breaks it at random moments, and checks its guarantees. `make faults`."""
