"""What was found, read back from the stored objects and drawn for a browser."""
