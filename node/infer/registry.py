"""Which model packages are installed. One broken package never hides the others. Imports no package and no torch."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node.domain.model import ModelDescription
from node.errors import InvalidModelPackage, ModelError, WeightsDigestMismatch
from node.infer.package import DESCRIPTION, read_description

BUILT_IN = Path(__file__).resolve().parent.parent.parent / "models"


@dataclass(frozen=True, slots=True)
class Problem:
    """A package that cannot be used, and why."""

    package: str
    folder: str
    error: ModelError


@dataclass(frozen=True, slots=True)
class Registry:
    """Packages by their id, in the order of ids: those that run, those that only run when they are asked for by their

    name (demonstrations that ``enabled`` does not name), and the unusable ones.
    """

    models: Mapping[str, ModelDescription]
    problems: tuple[Problem, ...]
    demonstrations: Mapping[str, ModelDescription] = field(default_factory=dict)

    def named(self, model_id: str) -> ModelDescription | None:
        """The usable package of this id, whether it runs by itself or not."""
        return self.models.get(model_id) or self.demonstrations.get(model_id)


def scan(folders: Sequence[Path], enabled: Sequence[str] = ("*",), built_in: Path = BUILT_IN) -> Registry:
    """Every package below ``built_in`` and ``folders`` whose id matches one of the ``enabled`` patterns.

    A package is a folder with a ``model.toml``. Where two have the same id, the first found is used and the other is
    a problem. A demonstration is enabled by its very id only, never by a wildcard.
    """
    models: dict[str, ModelDescription] = {}
    demonstrations: dict[str, ModelDescription] = {}
    problems: list[Problem] = []
    for folder in _package_folders((built_in, *folders)):
        if not any(fnmatch.fnmatchcase(folder.name, pattern) for pattern in enabled):
            continue
        try:
            model = check_package(folder)
            if earlier := models.get(model.id) or demonstrations.get(model.id):
                raise InvalidModelPackage(f"{model.id} is already installed in {earlier.folder}")
            runs = not model.demonstration or model.id in enabled
            (models if runs else demonstrations)[model.id] = model
        except ModelError as error:
            problems.append(Problem(folder.name, str(folder), error))
    missing = [folder for folder in folders if not folder.is_dir()]
    problems += [
        Problem(folder.name, str(folder), InvalidModelPackage(f"models.path: {folder} is no folder"))
        for folder in missing
    ]
    return Registry(dict(sorted(models.items())), tuple(problems), dict(sorted(demonstrations.items())))


def check_package(folder: Path) -> ModelDescription:
    """The description of one package, its weights compared with their digest.

    Raises:
        InvalidModelPackage: every problem of its ``model.toml``.
        WeightsDigestMismatch: the weights are not those that the package declares.
    """
    model = read_description(folder.resolve())
    _require_digest(model, model.weights_file, model.algorithm.weights_sha256)
    if model.out_of_distribution:
        _require_digest(model, model.out_of_distribution.file, model.out_of_distribution.sha256)
    return model


def _require_digest(model: ModelDescription, name: str, declared: str) -> None:
    try:
        with (Path(model.folder) / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidModelPackage(f"{model.id}: {name}: {error.strerror}", package=model.id) from error
    if found != declared:
        raise WeightsDigestMismatch(
            f"{model.id}: {name} has the SHA-256 {found[:12]}..., declared is {declared[:12]}...",
            package=model.id,
            found=found,
            declared=declared,
        )


def _package_folders(roots: Sequence[Path]) -> list[Path]:
    return [
        folder
        for root in roots
        if root.is_dir()
        for folder in sorted(root.iterdir())
        if (folder / DESCRIPTION).is_file()
    ]
