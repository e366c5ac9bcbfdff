"""Constraints, one a file: which changes are allowed."""
