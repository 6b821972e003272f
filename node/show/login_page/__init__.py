"""Logging in and out, and what a browser remembers: ``/login``, ``/logout``, ``/theme``."""
