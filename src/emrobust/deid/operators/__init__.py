"""What is put in place of an identifier, one operator a file."""
