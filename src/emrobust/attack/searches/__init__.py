"""Searches, one a file: which edits are tried, in which order."""
