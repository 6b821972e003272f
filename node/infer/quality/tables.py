"""What a package declares for the quality gate: ``[limits.intensity]`` and ``[out_of_distribution]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from node.domain.quality import DEFAULTS, OutOfDistributionLimit
from node.infer.tables import STRICT, FileName, Pair, Sha256, Share


class Intensity(BaseModel):
    model_config = STRICT

    percentile_1: Pair | None = None
    percentile_99: Pair | None = None
    saturated_at_most: Share = DEFAULTS.saturated_at_most
    empty_slices_at_most: Share = DEFAULTS.empty_slices_at_most
    air_at_least: Share = DEFAULTS.air_at_least
    soft_tissue_at_least: Share = DEFAULTS.soft_tissue_at_least


class OutOfDistribution(BaseModel):
    model_config = STRICT

    file: FileName
    sha256: Sha256
    threshold: Annotated[float, Field(gt=0)]

    def limit(self) -> OutOfDistributionLimit:
        return OutOfDistributionLimit(self.file, self.sha256, self.threshold)
