"""What every request passes first: host, sign-in, origin, size."""
