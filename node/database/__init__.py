"""The records: SQLite by default, PostgreSQL by changing the URL. A row is the truth."""
