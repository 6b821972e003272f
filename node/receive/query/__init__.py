"""Queries of others about what the node holds: C-FIND as SCP (PS3.4 C.4.1)."""
