"""Heat maps as one file: a compressed NumPy archive with an array for each image. Pure."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from node.domain.result import HeatMap
from node.domain.study import SopRef

# 255 shades are more than an eye tells apart, and a quarter of float32.
FULL = 255


def packed(heat_maps: Sequence[HeatMap]) -> bytes:
    """Each map as uint8 (0..255 for 0..1) under ``name_of`` its image; the same maps give the same bytes."""
    arrays: dict[str, npt.NDArray[Any]] = {
        name_of(heat_map.image): np.rint(heat_map.array * FULL).astype(np.uint8) for heat_map in heat_maps
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def name_of(image: SopRef) -> str:
    """The SOP Instance UID, and the number of the frame where there are several."""
    return image.sop_instance_uid if image.frame is None else f"{image.sop_instance_uid}_{image.frame}"


def description(heat_maps: Sequence[HeatMap], data: bytes, key: str) -> Mapping[str, Any]:
    """What the provenance of a job says of the file ``data`` that is kept under ``key``."""
    return {
        "storage_key": key,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "images": [name_of(heat_map.image) for heat_map in heat_maps],
    }
