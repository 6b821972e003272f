"""Hand-made features of an image: how bright it is, its texture, its edges, its scales.

Grey-level co-occurrence (Haralick et al., IEEE Trans. SMC 1973), local binary patterns (Ojala et al., IEEE TPAMI
2002), histograms of oriented gradients (Dalal and Triggs, CVPR 2005), wavelet energies (Mallat, IEEE TPAMI 1989), by
scikit-image and PyWavelets.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pywt
import torch
from scipy import stats
from skimage.feature import graycomatrix, graycoprops, hog, local_binary_pattern
from torch.nn import functional

from models.kit.task import Array

Features = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]

# Goes up with every change of what a feature means: cached files of another version are not read.
VERSION = 1
SIZE = 128
GREY_LEVELS = 32
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
TEXTURE = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")
PATTERNS = ((8, 1), (16, 2))


def features(image: Array) -> Features:
    """All features (F,) of a network's input (channels, rows, columns) or, of a volume, of its middle slice.

    Raises:
        ValueError: another number of dimensions.
    """
    if image.ndim == 4:
        image = image[:, image.shape[1] // 2]
    if image.ndim != 3:
        raise ValueError(f"an image of shape {image.shape} has no features")
    small = resized(image)
    grey = as_grey(small)
    parts = (intensity(small), co_occurrence(grey), binary_patterns(grey), gradients(grey), wavelets(grey))
    return np.nan_to_num(np.concatenate(parts)).astype(np.float32)


def resized(image: Array) -> Array:
    """(channels, 128, 128), bilinear with anti-aliasing."""
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None]
    small = functional.interpolate(tensor, (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)
    return small[0].numpy()


def as_grey(image: Array) -> Grey:
    """Mean of the channels, the 0.5th to the 99.5th percentile stretched to 0..255."""
    mean = image.mean(axis=0)
    low, high = np.percentile(mean, [0.5, 99.5])
    stretched = (mean - low) / max(float(high - low), 1e-6)
    scaled: Grey = (np.clip(stretched, 0, 1) * 255).astype(np.uint8)
    return scaled


def intensity(image: Array) -> Features:
    """Of each channel mean, deviation, skewness, kurtosis, percentiles and the entropy of its histogram (bit)."""
    found: list[float] = []
    for channel in image:
        values = channel.ravel().astype(np.float64)
        constant = float(values.std()) < 1e-6
        shape = [0.0, 0.0] if constant else [float(stats.skew(values)), float(stats.kurtosis(values))]
        histogram, _ = np.histogram(values, GREY_LEVELS)
        entropy = float(stats.entropy(histogram, base=2))
        found += [float(values.mean()), float(values.std()), *shape, *np.percentile(values, PERCENTILES), entropy]
    return np.array(found, dtype=np.float32)


def co_occurrence(grey: Grey) -> Features:
    """Texture of 32 grey levels at distances 1 and 4: mean and range over four directions."""
    levels = (grey // (256 // GREY_LEVELS)).astype(np.uint8)
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    matrix = graycomatrix(levels, [1, 4], angles, levels=GREY_LEVELS, symmetric=True, normed=True)
    found = [graycoprops(matrix, name) for name in TEXTURE]
    return np.concatenate([np.concatenate([one.mean(axis=1), np.ptp(one, axis=1)]) for one in found]).astype(np.float32)


def binary_patterns(grey: Grey) -> Features:
    """Histograms of uniform, rotation-invariant patterns of 8 neighbours at radius 1 and 16 at radius 2."""
    found = []
    for points, radius in PATTERNS:
        patterns = local_binary_pattern(grey, points, radius, "uniform")
        found.append(np.bincount(patterns.astype(int).ravel(), minlength=points + 2) / grey.size)
    return np.concatenate(found).astype(np.float32)


def gradients(grey: Grey) -> Features:
    """Eight directions in 4 x 4 cells, normed in blocks of 2 x 2."""
    found: Features = hog(grey, orientations=8, pixels_per_cell=(32, 32), cells_per_block=(2, 2), feature_vector=True)
    return found.astype(np.float32)


def wavelets(grey: Grey) -> Features:
    """Logarithm of the energy and of the mean magnitude of each band of three levels of Daubechies 2."""
    bands = pywt.wavedec2(grey.astype(np.float32), "db2", mode="periodization", level=3)
    flat = [bands[0], *(band for level in bands[1:] for band in level)]
    found = [(np.log1p(np.mean(band**2)), np.log1p(np.mean(np.abs(band)))) for band in flat]
    return np.array(found, dtype=np.float32).ravel()
