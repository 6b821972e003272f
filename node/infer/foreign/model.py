"""``ports.Model`` for a package without code: the declared steps around the network in its file."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from node.domain.declared import DeclaredNetwork, NetworkFormat
from node.domain.model import ModelDescription
from node.domain.result import InferenceResult
from node.domain.study import Picture, Volume
from node.errors import InvalidModelOutput, InvalidModelPackage, UnsupportedImage
from node.infer.digest import declared_bytes
from node.infer.foreign.conclusions import classes_of, segments_of
from node.infer.foreign.intensity import Float, changed
from node.infer.foreign.layout import layout, padding_of
from node.infer.foreign.monai_bundle import bundle_network
from node.infer.foreign.onnx import onnx_network
from node.infer.foreign.torchscript import torchscript_network

# ITU-R BT.601: what of a colour one sees as brightness.
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class DeclaredModel:
    """A package whose ``model.toml`` has a ``[network]``."""

    def __init__(self, model: ModelDescription, declared: DeclaredNetwork) -> None:
        self._model, self._declared = model, declared

    def preprocess(self, given: Volume | Picture) -> Tensor:
        """The network's input: (1, channels, three axes), of a picture (1, channels, rows, columns).

        Raises:
            UnsupportedImage: the image has values that are not finite.
        """
        steps, dimensions = self._declared.preprocessing, self._declared.dimensions
        if not bool(np.isfinite(given.array).all()):
            raise UnsupportedImage("the image has values that are not finite")
        if isinstance(given, Picture):
            image = _stretched(_channels(given, steps.channels), steps.size)
            padding = [(0, 0), *(padding_of(size, steps.divisible_by) for size in image.shape[1:])]
        else:
            place = layout(given, steps, dimensions)
            image = np.repeat(place.to_network(given.array)[None], steps.channels, axis=0)
            padding = [(0, 0), *place.padding]
        return torch.from_numpy(np.ascontiguousarray(np.pad(changed(image, steps.intensity), padding)))[None]

    def network(self) -> nn.Module:
        """The network in its file, with its weights.

        Raises:
            InvalidModelPackage: the file is no network of its format.
            WeightsDigestMismatch: the file is not the declared one.
        """
        content, name = declared_bytes(self._model), self._model.weights_file
        try:
            if self._declared.format is NetworkFormat.TORCHSCRIPT:
                network = torchscript_network(content, name)
            elif self._declared.format is NetworkFormat.ONNX:
                network = onnx_network(content, name)
            else:
                network = bundle_network(content, name, self._declared.definition)
        except InvalidModelPackage as error:
            raise InvalidModelPackage(f"{self._model.id}: {error.message}", package=self._model.id) from error
        network = OneOutput(network, self._declared.output)
        slices = self._declared.dimensions == 2 and not self._declared.postprocessing.classes
        return SliceBySlice(network, self._model.runtime.batch) if slices else network

    def postprocess(self, outputs: Tensor, given: Volume | Picture) -> InferenceResult:
        """
        Raises:
            InvalidModelOutput: the output has not the declared shape or meaning.
        """
        steps = self._declared.postprocessing
        if steps.classes:
            return classes_of(outputs, steps)
        volume = cast(Volume, given)  # model.toml: segments belong to a volume
        place = layout(volume, self._declared.preprocessing, self._declared.dimensions)
        return segments_of(outputs, volume, place, steps, self._model.segments)


class OneOutput(nn.Module):
    """The tensor that counts, of a network that may return several."""

    def __init__(self, network: nn.Module, chosen: int | None) -> None:
        super().__init__()
        self.network, self._chosen = network, chosen

    def forward(self, inputs: Tensor) -> Tensor:
        given = self.network(inputs)
        tensors = [given] if isinstance(given, Tensor) else _listed(given)
        if self._chosen is None and len(tensors) != 1:
            words = f"the network returned {len(tensors)} tensors; say which one counts: [network] output = 0"
            raise InvalidModelOutput(words, field="outputs")
        chosen = self._chosen or 0
        if chosen >= len(tensors) or not isinstance(tensors[chosen], Tensor):
            raise InvalidModelOutput(f"the network returned no tensor number {chosen}", field="outputs")
        return tensors[chosen]


class SliceBySlice(nn.Module):
    """A network of two dimensions on a volume: (1, channels, slices, ...), ``batch`` slices at a time."""

    def __init__(self, network: nn.Module, batch: int) -> None:
        super().__init__()
        self.network, self._batch = network, batch

    def forward(self, inputs: Tensor) -> Tensor:
        slices = inputs.movedim(2, 1).flatten(0, 1)
        outputs = torch.cat([self.network(part) for part in torch.split(slices, self._batch)])
        return torch.unflatten(outputs, 0, (inputs.shape[0], inputs.shape[2])).movedim(1, 2)


def _listed(given: object) -> list[Tensor]:
    if isinstance(given, dict):
        return list(given.values())
    return list(given) if isinstance(given, tuple | list) else []


def _channels(picture: Picture, count: int) -> Float:
    """(channels, rows, columns): colour as colour (3) or as brightness (1), grey repeated."""
    if not picture.is_colour:
        return np.repeat(picture.array[None], count, axis=0)
    if count == 1:
        return (picture.array @ LUMINANCE)[None]
    if count != 3:
        raise UnsupportedImage(f"a colour image for a network of {count} channels")
    return np.ascontiguousarray(picture.array.transpose(2, 0, 1))


def _stretched(image: Float, size: tuple[int, ...] | None) -> Float:
    """(channels, rows, columns) at ``size`` (rows, columns): bilinear, smoothed where it shrinks."""
    if size is None:
        return image
    stretched = nn.functional.interpolate(torch.from_numpy(image)[None], size=size, mode="bilinear", antialias=True)
    return stretched[0].numpy()
