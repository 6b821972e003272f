"""Attributions over their picture, as a PNG that a colour-blind reader can read.

Grad-CAM has one sign and the sequential map ``viridis``; the others have two and the diverging map ``PuOr``
(purple against, orange for: ColorBrewer's colour-blind-safe scheme). Where a map is near zero, the picture shows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from models.kit.task import Array

PANEL_INCHES = 3.4
DOTS_PER_INCH = 110
OPACITY = 0.75
LEGEND_HEIGHT = 0.05
# Below 1, so that weak evidence is seen; 0.5 would cover the picture with evidence of almost nothing.
OPACITY_POWER = 0.8
# Single extreme pixels would make everything else invisible.
BRIGHTEST_PERCENTILE = 99.5
TITLE_COLUMNS = 32


def write_overlays(
    picture: Array, maps: Mapping[str, Array], title: str, class_name: str, file: Path | BinaryIO
) -> None:
    """One row: the picture, then each map over it with its legend.

    Args:
        picture: the network's input (channels, rows, columns); three channels are shown as red, green and blue on the
            left; under the maps it is grey, so that the only colours there are those of the legend.
        maps: (rows, columns) by the method's name; 0 or more, or of both signs.
        title: over everything; long ones are broken into lines.
        class_name: what the maps speak for.
    """
    panels = 1 + len(maps)
    figure = Figure(
        figsize=(PANEL_INCHES * panels, PANEL_INCHES * 1.45), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    figure.suptitle("\n".join(textwrap.wrap(title, TITLE_COLUMNS * panels)), fontsize=11)
    grid = figure.add_gridspec(2, panels, height_ratios=(1.0, LEGEND_HEIGHT))
    _show_picture(figure.add_subplot(grid[0, 0]), picture)
    for column, (name, values) in enumerate(maps.items(), start=1):
        axis, legend = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
        colours = _show_map(axis, grey(picture), values, name)
        _show_legend(figure, legend, colours, class_name)
    figure.savefig(file)


def grey(picture: Array) -> Array:
    """(channels, rows, columns) as (rows, columns) in 0..1: mean of the channels, its own range."""
    return _stretched(picture.mean(axis=0))


def shown(values: Array) -> Array:
    """A map for display in -1..1: divided by the 99.5th percentile of what is not zero, and cut."""
    sizes = np.abs(values[values != 0])
    if not sizes.size:
        return np.zeros_like(values)
    cut: Array = np.clip(values / np.percentile(sizes, BRIGHTEST_PERCENTILE), -1.0, 1.0).astype(np.float32)
    return cut


def blended(background: Array, values: Array, colours: Colormap) -> Array:
    """(rows, columns, 3) in 0..1: ``values`` in -1..1 over a grey ``background``, the stronger the more opaque."""
    signed = bool((values < 0).any())
    paint = colours((values + 1) / 2 if signed else values)[..., :3]
    opacity = (OPACITY * np.abs(values) ** OPACITY_POWER)[..., None]
    colour: Array = (background[..., None] * (1 - opacity) + paint * opacity).astype(np.float32)
    return colour


def _show_picture(axis: Axes, picture: Array) -> None:
    if picture.shape[0] == 3:
        axis.imshow(_stretched(picture.transpose(1, 2, 0)))
    else:
        axis.imshow(grey(picture), cmap="gray", vmin=0, vmax=1)
    axis.set_title("what the network is given", fontsize=10)
    axis.set_axis_off()


def _show_map(axis: Axes, background: Array, values: Array, name: str) -> ScalarMappable:
    """The map over the picture; what its colours mean."""
    scaled = shown(values)
    signed = bool((scaled < 0).any())
    colours = colormaps["PuOr_r" if signed else "viridis"]
    axis.imshow(blended(background, scaled, colours))
    axis.set_title(name, fontsize=10)
    axis.set_axis_off()
    return ScalarMappable(Normalize(-1.0 if signed else 0.0, 1.0), colours)


def _show_legend(figure: Figure, axis: Axes, colours: ScalarMappable, class_name: str) -> None:
    legend = figure.colorbar(colours, cax=axis, orientation="horizontal")
    names = {-1.0: "against", 0.0: "0", 1.0: "for"} if colours.norm.vmin else {0.0: "none", 1.0: "most"}
    legend.set_ticks(list(names), labels=list(names.values()))
    # Letters stay within the legend's own width.
    labels = legend.ax.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")
    legend.ax.tick_params(labelsize=9)
    legend.set_label("\n".join(textwrap.wrap(f"evidence for {class_name}", TITLE_COLUMNS)), fontsize=9)


def _stretched(values: Array) -> Array:
    low, high = float(values.min()), float(values.max())
    return ((values - low) / (high - low) if high > low else np.zeros_like(values)).astype(np.float32)
