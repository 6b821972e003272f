"""The command line ``ainode``: one module for each noun."""
