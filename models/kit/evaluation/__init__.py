"""How good a network is on cases it never saw, in a way that a sceptic can check."""
