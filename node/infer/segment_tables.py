"""What a package declares of its segmentation: ``[[segments]]`` and ``[outputs]`` of ``model.toml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from node.domain.result import Segment, SegmentationType
from node.infer.tables import STRICT, Code, Text

Colour = Annotated[int, Field(ge=0, le=255)]


class SegmentTable(BaseModel):
    model_config = STRICT

    number: Annotated[int, Field(ge=1, le=255)]
    label: Text
    category: Code
    type: Code
    anatomic_region: Code | None = None
    colour_rgb: Annotated[list[Colour], Field(min_length=3, max_length=3)] | None = None

    def segment(self) -> Segment:
        colour = self.colour_rgb
        return Segment(
            number=self.number,
            label=self.label,
            category=self.category.concept(),
            type=self.type.concept(),
            anatomic_region=None if self.anatomic_region is None else self.anatomic_region.concept(),
            colour_rgb=None if colour is None else (colour[0], colour[1], colour[2]),
        )


class OutputsTable(BaseModel):
    model_config = STRICT

    segmentation: Literal["binary", "fractional", "labelmap"] | None = None

    def segmentation_type(self) -> SegmentationType:
        return SegmentationType((self.segmentation or "binary").upper())
