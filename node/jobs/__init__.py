"""The job table: enqueue, claim, save if still mine, rescue."""
