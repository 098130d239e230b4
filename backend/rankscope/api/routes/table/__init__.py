"""The runs table: rows, changes, groups, labels, views."""
