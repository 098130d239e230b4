"""Checks of every request before its route: host, sign-in, right, origin, body."""
