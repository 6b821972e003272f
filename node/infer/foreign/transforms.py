"""The transforms of a MONAI bundle as declared steps. They are translated, never run: the node has one implementation.

What reads, converts or writes files is the node's own work and is passed over. The parameters are those of
``monai.transforms``; one that would change the numbers and is not known here is a problem with its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from node.domain.declared import Activation, Decision, Percentiles, Postprocessing, Preprocessing, Rescale, ZScore
from node.infer.foreign.tables import AXES

Arguments = dict[str, Any]
# Reading, typing, devices, names of keys, going back to the input grid, writing.
OF_THE_NODE = {
    "LoadImage", "EnsureChannelFirst", "AsChannelFirst", "AddChannel", "EnsureType", "ToTensor", "ToDevice",
    "CastToType", "Invert", "SaveImage", "DeleteItems", "SelectItems", "CopyItems", "Identity",
}  # fmt: skip
INSIGNIFICANT = {"_target_", "keys", "allow_missing_keys", "_desc_", "dtype", "lazy", "ensure_same_shape"}


class UnknownTransform(ValueError):
    """A transform, or one of its parameters, that no declared step stands for."""


def preprocessing(transforms: Sequence[Mapping[str, Any]], channels: int) -> Preprocessing:
    """
    Raises:
        UnknownTransform: something else than the known steps, or in another order than theirs.
    """
    steps, stage = Preprocessing(channels=channels), 0
    for name, arguments in _named(transforms):
        if name not in _BEFORE:
            raise UnknownTransform(f"{name}: known are {', '.join(sorted(_BEFORE))}")
        order, translate = _BEFORE[name]
        if order < stage:
            raise UnknownTransform(
                f"{name}: comes too late; the order is orientation, spacing, size, intensity, padding"
            )
        steps, stage = translate(steps, name, arguments), order
        _none_left(name, arguments)
    return steps


def postprocessing(transforms: Sequence[Mapping[str, Any]]) -> Postprocessing:
    """
    Raises:
        UnknownTransform: something else than an activation, a decision and the largest component.
    """
    # As in MONAI: without an activation the most probable channel of the bare numbers.
    steps = Postprocessing(Activation.NONE)
    for name, arguments in _named(transforms):
        if name == "Activations":
            steps = _activation(steps, arguments)
        elif name == "AsDiscrete":
            steps = _decision(steps, arguments)
        elif name == "KeepLargestConnectedComponent":
            steps = _largest_component(steps, arguments)
        else:
            raise UnknownTransform(f"{name}: known are Activations, AsDiscrete and KeepLargestConnectedComponent")
        _none_left(name, arguments)
    return steps


def bare_name(component: Mapping[str, Any]) -> str:
    """The name of its class without module and without the ``d`` of the dictionary variants."""
    name = str(component.get("_target_", "")).rpartition(".")[2]
    for ending in ("Dict", "D", "d"):
        if name.removesuffix(ending) in _KNOWN:
            return name.removesuffix(ending)
    return name


def _named(transforms: Sequence[Mapping[str, Any]]) -> list[tuple[str, Arguments]]:
    """Each with its bare name and the parameters that matter."""
    found = []
    for transform in transforms:
        name = bare_name(transform)
        if name not in OF_THE_NODE:
            found.append((name, {key: value for key, value in transform.items() if key not in INSIGNIFICANT}))
    return found


def _none_left(name: str, arguments: Arguments) -> None:
    left = [key for key, value in arguments.items() if value is not None]
    if left:
        raise UnknownTransform(f"{name}: the parameter {left[0]} is not supported")


def _only(name: str, arguments: Arguments, key: str, *allowed: Any) -> None:
    value = arguments.pop(key, allowed[0])
    if value not in allowed:
        raise UnknownTransform(f"{name}: {key} = {value!r} is not supported, only {' or '.join(map(repr, allowed))}")


def _numbers(name: str, value: Any, count: int) -> tuple[float, ...]:
    numbers = value if isinstance(value, list) else [value] * count
    if len(numbers) != count or not all(isinstance(one, int | float) for one in numbers):
        raise UnknownTransform(f"{name}: {value!r} are not {count} numbers")
    return tuple(float(one) for one in numbers)


def _first(value: Any) -> Any:
    """Of a list with one value for each key: that of the first, which is the network's output."""
    return value[0] if isinstance(value, list) and value else value


def _orientation(steps: Preprocessing, name: str, arguments: Arguments) -> Preprocessing:
    code = str(arguments.pop("axcodes", ""))
    arguments.pop("labels", None)
    if sorted(next((axis for axis in AXES if letter in axis), "") for letter in code) != sorted(AXES):
        raise UnknownTransform(f"{name}: axcodes = {code!r} is no orientation such as RAS")
    return replace(steps, orientation=code)


def _spacing(steps: Preprocessing, name: str, arguments: Arguments) -> Preprocessing:
    spacing = _numbers(name, arguments.pop("pixdim", None), 3)
    _only(name, arguments, "mode", "bilinear", ["bilinear"])
    _only(name, arguments, "padding_mode", "border", ["border"])
    for key in ("diagonal", "align_corners", "scale_extent", "recompute_affine"):
        _only(name, arguments, key, False, None, [False])
    for key in ("min_pixdim", "max_pixdim"):
        _only(name, arguments, key, None)
    # MONAI: a spacing that is not above 0 keeps that of the image.
    along = [max(one, 0.0) for one in spacing]
    return replace(steps, spacing_mm=(along[0], along[1], along[2]))


def _size(steps: Preprocessing, name: str, arguments: Arguments) -> Preprocessing:
    size = arguments.pop("spatial_size", None)
    if not isinstance(size, list) or len(size) != 3 or not all(isinstance(one, int) and one > 0 for one in size):
        raise UnknownTransform(f"{name}: spatial_size = {size!r} is no size of a volume")
    if arguments.setdefault("mode", "area") not in ("trilinear", ["trilinear"]):  # area is MONAI's default
        raise UnknownTransform(f"{name}: mode = {arguments['mode']!r} is not supported, only 'trilinear'")
    del arguments["mode"]
    for key in ("align_corners", "anti_aliasing"):
        _only(name, arguments, key, False, None)
    return replace(steps, size=tuple(size))


def _range(steps: Preprocessing, name: str, arguments: Arguments) -> Preprocessing:
    low, high = _numbers(name, [arguments.pop("a_min", None), arguments.pop("a_max", None)], 2)
    start, end = arguments.pop("b_min", None), arguments.pop("b_max", None)
    target = _numbers(name, [0.0 if start is None else start, 1.0 if end is None else end], 2)
    if low >= high:
        raise UnknownTransform(f"{name}: a_min = {low:g} is not below a_max = {high:g}")
    step = Rescale(low, high, (target[0], target[1]), bool(arguments.pop("clip", False)))
    return replace(steps, intensity=(*steps.intensity, step))


def _percentiles(steps: Preprocessing, name: str, arguments: Arguments) -> Preprocessing:
    low, high = _numbers(name, [arguments.pop("lower", None), arguments.pop("upper", None)], 2)
    target = _numbers(name, [arguments.pop("b_min", None), arguments.pop("b_max", None)], 2)
    _only(name, arguments, "relative", False)
    arguments.pop("channel_wise", None)  # there is one channel
    step = Percentiles(low, high, (target[0], target[1]), bool(arguments.pop("clip", False)))
    return replace(steps, intensity=(*steps.intensity, step))


def _whole_range(steps: Preprocessing, name: str, arguments: Arguments) -> Preprocessing:
    target = _numbers(name, [arguments.pop("minv", 0.0), arguments.pop("maxv", 1.0)], 2)
    _only(name, arguments, "factor", None)
    arguments.pop("channel_wise", None)
    return replace(steps, intensity=(*steps.intensity, Percentiles(0.0, 100.0, (target[0], target[1]), False)))


def _z_score(steps: Preprocessing, name: str, arguments: Arguments) -> Preprocessing:
    mean, deviation = arguments.pop("subtrahend", None), arguments.pop("divisor", None)
    if (mean is None) != (deviation is None):
        raise UnknownTransform(f"{name}: subtrahend and divisor are only supported together")
    arguments.pop("channel_wise", None)
    step = ZScore(
        () if mean is None else _numbers(name, mean, 1),
        () if deviation is None else _numbers(name, deviation, 1),
        bool(arguments.pop("nonzero", False)),
    )
    return replace(steps, intensity=(*steps.intensity, step))


def _divisible(steps: Preprocessing, name: str, arguments: Arguments) -> Preprocessing:
    sizes = set(_numbers(name, arguments.pop("k", None), 3))
    if len(sizes) > 1:
        raise UnknownTransform(f"{name}: different k along the axes are not supported")
    _only(name, arguments, "mode", "constant", ["constant"])
    _only(name, arguments, "method", "symmetric")
    return replace(steps, divisible_by=int(sizes.pop()))


def _activation(steps: Postprocessing, arguments: Arguments) -> Postprocessing:
    chosen = [key for key in ("softmax", "sigmoid") if _first(arguments.pop(key, False))]
    if len(chosen) != 1:
        raise UnknownTransform("Activations: one of softmax and sigmoid")
    return replace(steps, activation=Activation(chosen[0]))


def _largest_component(steps: Postprocessing, arguments: Arguments) -> Postprocessing:
    name = "KeepLargestConnectedComponent"
    _only(name, arguments, "independent", True)
    _only(name, arguments, "num_components", 1)
    _only(name, arguments, "connectivity", None, 3)
    for insignificant in ("applied_labels", "is_onehot"):
        arguments.pop(insignificant, None)
    return replace(steps, largest_component=True)


def _decision(steps: Postprocessing, arguments: Arguments) -> Postprocessing:
    argmax, threshold = _first(arguments.pop("argmax", False)), _first(arguments.pop("threshold", None))
    arguments.pop("to_onehot", None)
    if bool(argmax) == (threshold is not None):
        raise UnknownTransform("AsDiscrete: one of argmax and threshold")
    if threshold is None:
        return replace(steps, decision=Decision.ARGMAX)
    return replace(steps, decision=Decision.THRESHOLD, threshold=_numbers("AsDiscrete", threshold, 1)[0])


_Translate = Callable[[Preprocessing, str, Arguments], Preprocessing]
_BEFORE: Mapping[str, tuple[int, _Translate]] = {
    "Orientation": (1, _orientation),
    "Spacing": (2, _spacing),
    "Resize": (3, _size),
    "ScaleIntensityRange": (4, _range),
    "ScaleIntensityRangePercentiles": (4, _percentiles),
    "ScaleIntensity": (4, _whole_range),
    "NormalizeIntensity": (4, _z_score),
    "DivisiblePad": (5, _divisible),
}
_KNOWN = OF_THE_NODE | _BEFORE.keys() | {"Activations", "AsDiscrete", "KeepLargestConnectedComponent"}
