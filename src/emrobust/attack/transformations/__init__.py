"""Transformations, one a file: which edits there are to choose from."""
