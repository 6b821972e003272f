"""Operators: what they may do, what runs by the clock, and the command line."""
