"""``/queue``: what is wrong, what waits, and what can be done about it."""
