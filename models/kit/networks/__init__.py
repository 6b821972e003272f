"""Networks small enough to be trained on a processor and shipped in a few megabytes."""
