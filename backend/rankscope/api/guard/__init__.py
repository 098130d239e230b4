"""What every request passes first: host, sign-in, right, origin, body."""
