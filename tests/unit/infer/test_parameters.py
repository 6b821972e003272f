"""What a run was made with is told, and a package that changed is another package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from node.infer.parameters import package_digest, parameters
from node.infer.registry import check_package

THRESHOLD = Path(__file__).parents[2] / "fakes" / "models" / "threshold"


def test_the_parameters_of_a_package_are_plain_data() -> None:
    told = parameters(check_package(THRESHOLD))
    assert json.loads(json.dumps(told))["runtime"]["precision"] == "fp32"
    assert told["package_sha256"] == package_digest(THRESHOLD)


def test_every_change_of_a_package_is_another_digest(tmp_path: Path) -> None:
    folder = tmp_path / "threshold"
    shutil.copytree(THRESHOLD, folder, ignore=shutil.ignore_patterns("__pycache__"))
    first = package_digest(folder)
    assert first == package_digest(THRESHOLD), "where it lies says nothing"
    digests = {first}
    for name in ("model.py", "model.toml", "further/step.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("a") as file:
            file.write("\n# changed\n")
        digests.add(package_digest(folder))
    (folder / "weights.safetensors").write_bytes(b"weights have a digest of their own")
    digests.add(package_digest(folder))
    assert len(digests) == 4
