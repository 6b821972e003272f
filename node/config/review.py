"""``[ups.review]``: workitems for persons, of studies that are analysed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from node.config.base import Seconds, Section

# As VR SH and LO are (PS3.5 Table 6.2-1), and not blank.
TEXT_PATTERN = r"^[^\\\x00-\x1f\x7f]*[^\\\x00-\x20\x7f][^\\\x00-\x1f\x7f]*$"
ShortString = Annotated[str, Field(max_length=16, pattern=TEXT_PATTERN)]
Text = Annotated[str, Field(max_length=64, pattern=TEXT_PATTERN)]


class WorkitemCode(Section):
    """A coded entry (PS3.3 section 8.8); PS3.16 CID 9231 has those of general workitems."""

    value: ShortString = "110005"
    scheme: ShortString = "DCM"
    meaning: Text = "Interpretation"


class ReviewSection(Section):
    enabled: bool = False
    label: Text = "Review AI results"  # Procedure Step Label; what the models say stands behind it
    code: WorkitemCode = WorkitemCode()
    # When it is made: the results are where they are to be, or will not come there; or as soon as they exist.
    after: Literal["delivery", "analysis"] = "delivery"
    claim_lease_s: Seconds = 28800.0  # who has claimed one and says nothing for so long has lost it: another is made
