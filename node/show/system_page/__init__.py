"""``/system``: roles, devices, disk, models, and four small charts."""
