"""Step 7: results go to their destinations."""
