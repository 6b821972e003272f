"""What a package declares of earlier studies: ``[priors]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from node.domain.prior import PriorsWanted
from node.infer.tables import STRICT

CodeString = Annotated[str, Field(pattern=r"^[A-Z0-9_ ]{1,16}$")]  # VR CS
# Each is read and held in memory beside the series itself.
MOST = 8


class PriorsTable(BaseModel):
    model_config = STRICT

    at_most: Annotated[int, Field(ge=1, le=MOST)]
    max_age_days: Annotated[int, Field(ge=1, le=36500)] | None = None
    modality: list[CodeString] = []
    body_part: list[CodeString] = []

    def wanted(self, modality: list[str]) -> PriorsWanted:
        """Of the modality that the package takes, where it does not say another one."""
        return PriorsWanted(self.at_most, self.max_age_days, tuple(self.modality or modality), tuple(self.body_part))
