"""The model packages of a configuration. Imports neither DIMSE nor highdicom: status and lists come at once."""

from __future__ import annotations

from collections.abc import Mapping

from node.config import Config
from node.domain.model import ModelDescription
from node.errors import NotFound
from node.infer.registry import Registry, scan


def scan_models(config: Config) -> Registry:
    """Every enabled package, the demonstrations that nobody named, and the problems of those that cannot be used."""
    return scan(config.models.path, config.models.enabled)


def open_models(config: Config) -> Mapping[str, ModelDescription]:
    """The packages that can be used, by id."""
    return scan_models(config).models


def find_model(config: Config, model: str) -> ModelDescription:
    """The package of this id; naming a demonstration is asking for it.

    Raises:
        NotFound: no such package is enabled.
        InvalidModelPackage, WeightsDigestMismatch: it is there but cannot be used.
    """
    found = scan_models(config)
    for problem in found.problems:
        if problem.package == model:
            raise problem.error
    named = found.named(model)
    if named is None:
        known = sorted({*found.models, *found.demonstrations})
        raise NotFound(f"no enabled model {model!r}; there are: {', '.join(known) or 'none'}")
    return named


def demonstrations(config: Config) -> frozenset[str]:
    """The ids of the packages that say of themselves that they only demonstrate, enabled or not."""
    found = scan_models(config)
    return frozenset(one.id for one in (*found.models.values(), *found.demonstrations.values()) if one.demonstration)
