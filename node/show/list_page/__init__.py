"""The worklist: ``/``."""
