"""The tables of a package without code to one ``DeclaredNetwork``, every contradiction between them listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from node.domain.declared import DeclaredNetwork, NetworkFormat, Postprocessing, Preprocessing, ZScore
from node.domain.model import InputKind
from node.infer.foreign.bundle import Bundle, BundleProblem, Windows, read_bundle
from node.infer.foreign.tables import Network, Postprocess, Preprocess

Problems = list[tuple[str, str]]


class Undeclarable(ValueError):
    """``problems`` as (key path, problem)."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("; ".join(f"{path}: {problem}" for path, problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Declaration:
    """``windows`` are those that a bundle asks for."""

    network: DeclaredNetwork
    windows: Windows | None = None


def declare(
    folder: Path,
    network: Network,
    preprocess: Preprocess | None,
    postprocess: Postprocess | None,
    segments: int,
    kind: InputKind,
) -> Declaration:
    """What the package in ``folder`` with so many segments declares.

    Raises:
        Undeclarable: the tables contradict each other, or the bundle in the folder asks for what is not supported.
    """
    bundle = _bundle(folder, network, preprocess is not None, postprocess is not None)
    before = preprocess.steps() if preprocess else bundle.preprocessing if bundle else Preprocessing()
    behind = postprocess.steps() if postprocess else bundle.postprocessing if bundle else None
    if behind is None:
        raise Undeclarable([("postprocess", "is absent: nothing says what the network's output means")])
    dimensions = network.dimensions or (2 if kind is InputKind.IMAGE else 3)
    problems = [*_of_the_input(before, dimensions, kind), *_of_the_output(behind, dimensions, segments, kind)]
    if problems:
        raise Undeclarable(problems)
    declared = DeclaredNetwork(
        format=NetworkFormat(network.format),
        preprocessing=before,
        postprocessing=behind,
        dimensions=dimensions,
        output=network.output,
        definition=bundle.definition if bundle else "",
    )
    return Declaration(declared, bundle.windows if bundle else None)


def _bundle(folder: Path, network: Network, own_before: bool, own_behind: bool) -> Bundle | None:
    if network.config_sha256 is None:
        return None
    try:
        return read_bundle(folder, network.config_sha256, own_before, own_behind)
    except BundleProblem as error:
        raise Undeclarable([(error.place, error.words)]) from None


def _of_the_input(steps: Preprocessing, dimensions: int, kind: InputKind) -> Iterator[tuple[str, str]]:
    if kind is InputKind.IMAGE:
        if dimensions != 2:
            yield "network.dimensions", "a picture has two"
        if steps.orientation or steps.spacing_mm:
            yield "preprocess", "orientation and spacing_mm belong to a volume"
    wanted = 2 if kind is InputKind.IMAGE else dimensions
    if steps.size is not None and len(steps.size) != wanted:
        yield "preprocess.size", f"{wanted} numbers for a network of {dimensions} dimensions"
    for index, step in enumerate(steps.intensity):
        if isinstance(step, ZScore) and len(step.mean) not in (0, 1, steps.channels):
            yield f"preprocess.intensity[{index}].mean", f"one number, or one for each of {steps.channels} channels"


def _of_the_output(steps: Postprocessing, dimensions: int, segments: int, kind: InputKind) -> Iterator[tuple[str, str]]:
    if bool(steps.classes) == bool(segments):
        yield "segments", "either [[segments]] or [[postprocess.classes]], one of the two"
    if steps.classes and dimensions == 2 and kind is InputKind.VOLUME:
        yield "network.dimensions", 'a classifier of single images needs [input] kind = "image"'
    if steps.labels and len(steps.labels) != segments:
        yield "postprocess.labels", f"{len(steps.labels)} labels for {segments} segments"
    if len(set(steps.labels)) != len(steps.labels):
        yield "postprocess.labels", "a label stands there twice"
