"""The quality gate: whether an input can be judged, between reading it and the model."""
