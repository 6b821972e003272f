"""Model descriptions for tests of admission."""

from __future__ import annotations

from node.domain.admission import Route
from node.domain.model import InputLimits, InputSelection, Interval, ModelDescription, Runtime
from node.domain.result import AlgorithmIdentification, CodedConcept

EVERYWHERE = Route(models=("*",), destinations=("pacs",), when=(), priority="MEDIUM")
HIPPOCAMPUS_SELECTION = InputSelection(modalities=("MR",), field_of_view_mm=Interval(high=90.0))


def model(
    selection: InputSelection | None = None, limits: InputLimits | None = None, id: str = "hippocampus_mr"
) -> ModelDescription:
    return ModelDescription(
        id=id,
        version="1.0.0",
        title="Hippocampus",
        intended_use="Tests",
        folder="models/hippocampus_mr",
        algorithm=AlgorithmIdentification(
            "Hippocampus", "1.0.0", CodedConcept("123110", "DCM", "Artificial Intelligence"), "ainode", "00"
        ),
        selection=selection or InputSelection(),
        limits=limits or InputLimits(),
        runtime=Runtime(),
        weights_file="weights.safetensors",
    )
