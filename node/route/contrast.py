"""Whether a series was taken after a contrast agent, by its attributes or by what people write into descriptions."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Contrast/Bolus Agent (0018,0010) is free text; some write that there was none.
NO_AGENT = re.compile(r"^\s*(no|none|non|without|nil|n/?a|0|-+)\s*$", re.IGNORECASE)
# "T1post", "T1 +C", "AX T1 POST GD", "T1W_CE", "t1 mprage km"; letters around short words would be other words.
WITH = re.compile(
    r"post|\+\s*c(?![a-z])|(?<![a-z])(gd|gado\w*|gad|ce|c\+|km|kontrast\w*|contrast\w*|dotarem|with c)(?![a-z])",
    re.IGNORECASE,
)
WITHOUT = re.compile(
    r"(?<![a-z])(pre|non?|without|w/?o|nativ\w*|ohne)(?![a-z])|(?<![a-z])(t1|t1w)[ _-]*pre|non[- _]?con", re.IGNORECASE
)


def after_contrast(agents: Sequence[str], descriptions: Sequence[str]) -> bool:
    """An agent is stated, or a description names one and none says that it was left out."""
    if any(not NO_AGENT.match(agent) for agent in agents):
        return True
    named = any(WITH.search(text) for text in descriptions)
    return named and not any(WITHOUT.search(text) for text in descriptions)
