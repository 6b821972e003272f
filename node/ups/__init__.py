"""Workitems as others see and handle them: the UPS service (PS3.4 Annex CC, PS3.18 section 11) without a network."""
