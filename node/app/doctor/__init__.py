"""``ainode doctor``: a whole self-check, and what to do about each finding."""
