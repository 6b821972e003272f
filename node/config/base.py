"""What the tables of the configuration are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# PS3.5 Table 6.2-1, VR AE: 1 to 16 characters, no backslash, no control characters, not only spaces.
AE_TITLE_PATTERN = r"^[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*$"
NAME_PATTERN = r"^[A-Za-z0-9_.-]+$"
# No display name, nothing that ends a header, ASCII as every server takes it (RFC 5321 section 4.1.2).
MAIL_PATTERN = r"^[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]{1,64}@[A-Za-z0-9.\-]{1,190}$"
PAGES_PATTERN = r"^(https?://[^\s/?#@]+(/[^\s?#]*)?)?$"
HOST_PATTERN = r"^[^\s/@]+$"

# Leading and trailing spaces of an AE title are not significant (PS3.5 section 6.2).
AeTitle = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=AE_TITLE_PATTERN)
]
Host = Annotated[str, Field(pattern=HOST_PATTERN)]
ListenPort = Annotated[int, Field(ge=0, le=65535, description="0 takes any free port.")]
PeerPort = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=NAME_PATTERN)]
MailAddress = Annotated[str, Field(pattern=MAIL_PATTERN)]
PagesUrl = Annotated[str, StringConstraints(pattern=PAGES_PATTERN, max_length=512)]
Pattern = Annotated[str, Field(min_length=1, description="A name; * and ? stand for any characters.")]
Seconds = Annotated[float, Field(gt=0, le=604800, allow_inf_nan=False)]
Attempts = Annotated[int, Field(ge=1, le=100000)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
