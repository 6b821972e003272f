"""Settings of the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

# No timed assertions: these machines are noisy. In CI the same examples come in every run.
settings.register_profile("ainode", deadline=None, derandomize=os.environ.get("CI") == "true", database=None)
settings.load_profile("ainode")
