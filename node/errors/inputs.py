"""Why a model cannot judge an input."""

from __future__ import annotations

from node.errors.root import AinodeError


class InputError(AinodeError):
    """The input does not fit: the outcome is NOT EVALUABLE and ``message`` is the reason a physician reads."""


class NoPixelData(InputError):
    pass


class UndecodablePixelData(InputError):
    pass


class UnsupportedImage(InputError):
    pass


class ConstantImage(InputError):
    """Every pixel has the same value."""


class SaturatedImage(InputError):
    pass


class EmptySlices(InputError):
    pass


class ImplausibleIntensity(InputError):
    """Values that the modality, or the model's declaration, does not allow."""


class TruncatedFieldOfView(InputError):
    """The body goes on beyond the edge of the field of view."""


class IncompleteOrgan(InputError):
    """The organ goes on beyond the first or the last slice."""


class OrientationNotSupported(InputError):
    pass


class PictureSizeOutsideLimits(InputError):
    pass


class ColourNotSupported(InputError):
    pass


class BurnedInAnnotation(InputError):
    pass


class OutOfDistribution(InputError):
    """The network's embedding of the input lies too far from those of its training data."""


class GeometryError(InputError):
    pass


class MissingSlices(GeometryError):
    pass


class UnevenSpacing(GeometryError):
    pass


class DuplicateSlices(GeometryError):
    pass


class MixedOrientation(GeometryError):
    pass


class GantryTilt(GeometryError):
    pass


class SeveralAcquisitions(GeometryError):
    pass


class MixedImages(GeometryError):
    """Images of one series differ in size, spacing or photometric interpretation."""
