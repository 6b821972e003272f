"""A network without code: how ``model.toml`` says what goes into it and what comes out of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from node.domain.result import CodedConcept


class NetworkFormat(enum.StrEnum):
    TORCHSCRIPT = "torchscript"
    ONNX = "onnx"
    MONAI_BUNDLE = "monai_bundle"


class Activation(enum.StrEnum):
    """What turns the network's numbers into probabilities. LABELS: they are label numbers, not probabilities."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    NONE = "none"
    LABELS = "labels"


class Decision(enum.StrEnum):
    """How a voxel gets its segment: the most probable channel, channel 0 being background, or every channel by itself

    above a threshold (of several the most probable).
    """

    ARGMAX = "argmax"
    THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class Rescale:
    """Values of ``low``..``high`` become ``target``, linearly; ``clip`` cuts off what lies outside."""

    low: float
    high: float
    target: tuple[float, float] = (0.0, 1.0)
    clip: bool = True


@dataclass(frozen=True, slots=True)
class Percentiles:
    """``Rescale`` between two percentiles (0..100) of the image itself."""

    low: float
    high: float
    target: tuple[float, float] = (0.0, 1.0)
    clip: bool = True


@dataclass(frozen=True, slots=True)
class ZScore:
    """Minus the mean, divided by the standard deviation.

    ``mean`` and ``deviation`` hold one number, or one for each channel; empty: those of the image itself. ``nonzero``:
    zeros are left out of the reckoning and stay zero.
    """

    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    nonzero: bool = False


IntensityStep = Rescale | Percentiles | ZScore


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From an image to the network's input; applied in the order of the attributes.

    Attributes:
        orientation: of a volume: where each axis of the array points, for example ``RAS`` (axis 0 to the patient's
            right) or ``SPL``; empty: slices, rows, columns as they come.
        spacing_mm: of a volume: along these axes; 0 leaves an axis as it is. Linear interpolation, the centre of the
            first voxel stays where it is.
        size: the array is stretched to it: three numbers, or two (rows, columns) for a network of two dimensions.
        intensity: steps on the values, in this order.
        divisible_by: zeros are put around the array until every size can be divided by it; 1 changes nothing.
        channels: the grey image is repeated so often, or a colour picture has so many (3), or is made grey (1).
    """

    orientation: str = ""
    spacing_mm: tuple[float, float, float] | None = None
    size: tuple[int, ...] | None = None
    intensity: tuple[IntensityStep, ...] = ()
    divisible_by: int = 1
    channels: int = 1


@dataclass(frozen=True, slots=True)
class ClassOutput:
    """One class of a classifier, in the order of its outputs."""

    concept: CodedConcept
    positive: bool = False


@dataclass(frozen=True, slots=True)
class Postprocessing:
    """From the network's output to a result.

    Attributes:
        classes: of a classifier; empty means a segmentation.
        threshold: of a probability: a voxel's (``Decision.THRESHOLD``), or that of the positive classes.
        labels: of a segmentation: the network's label (or channel) of segment 1, 2, ...; empty: they are the same as
            the segments' numbers (channels: 0 is segment 1 where every channel decides by itself).
        largest_component: of each segment only the largest connected piece (26 neighbours) is kept.
        minimum_volume_ml: a smaller segment is no finding and is removed.
    """

    activation: Activation
    decision: Decision = Decision.ARGMAX
    classes: tuple[ClassOutput, ...] = ()
    threshold: float = 0.5
    labels: tuple[int, ...] = ()
    largest_component: bool = False
    minimum_volume_ml: float = 0.0


@dataclass(frozen=True, slots=True)
class DeclaredNetwork:
    """A network that is a file.

    Attributes:
        dimensions: 3, or 2 for a network that sees one slice (along the array's first axis), or one picture, at a time.
        output: which of several tensors counts, where the network returns more than one.
        definition: of a MONAI bundle: its ``network_def`` as JSON without references and expressions; empty where the
            file holds the network itself.
    """

    format: NetworkFormat
    preprocessing: Preprocessing
    postprocessing: Postprocessing
    dimensions: int = 3
    output: int | None = None
    definition: str = ""

    @property
    def cpu_only(self) -> bool:
        return self.format is NetworkFormat.ONNX
