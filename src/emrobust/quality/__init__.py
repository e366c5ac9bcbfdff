"""Labels and texts that may be wrong."""
