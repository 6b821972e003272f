"""Workitems over the web."""
