"""What an orientation is called: one rule for admission, which reads headers, and for the volume that is judged."""

from __future__ import annotations

from collections.abc import Sequence

# A plane is named after the anatomical plane its normal is this close to (cosine), else it is oblique.
PLANE_COSINE = 0.8


def plane_of(normal: Sequence[float]) -> str:
    """The anatomical plane whose normal is nearest: sagittal (x), coronal (y), axial (z), or oblique."""
    along = [abs(component) for component in normal]
    largest = max(along)
    return ("sagittal", "coronal", "axial")[along.index(largest)] if largest >= PLANE_COSINE else "oblique"
