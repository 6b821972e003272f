"""Bytes at rest: where an object lies, how it gets there durably, and how much room is left."""
