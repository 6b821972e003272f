"""What people see: the read-only queries, health, metrics."""
