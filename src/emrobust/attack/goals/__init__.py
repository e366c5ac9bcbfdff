"""Goals, one a file: what counts as a success."""
