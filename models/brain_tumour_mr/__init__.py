"""Enhancing brain tumours in T1-weighted MR after contrast: a model package."""
