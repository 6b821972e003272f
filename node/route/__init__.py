"""What is wanted: is a series complete, and which models want it."""
