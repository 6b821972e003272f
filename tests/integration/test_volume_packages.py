"""The packages for volumes on real series: which are admitted, and what the command line writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from node.app.predicting import ANY_ROUTE
from node.domain.admission import Verdict
from node.domain.study import Instance, Series, StoredInstance
from node.infer.package import read_description
from node.route.admission import judge
from node.route.facts import describe
from tests.peers import REPOSITORY, data_dir

STUDY = "brain-mr-glioma-study3"


def admissions(package: str) -> dict[str, tuple[Verdict, list[str]]]:
    """For every series of the glioma study: the verdict and the names of the unmet conditions, by its description."""
    from node.app.predicting import _series  # noqa: PLC0415 - how the command reads a folder

    model = read_description(REPOSITORY / "models" / package)
    judged = {}
    for series in _series(data_dir(STUDY)):
        admission = judge(describe(series), model, ANY_ROUTE)
        name = series.instances[0].instance.text("SeriesDescription")
        judged[name] = (admission.verdict, [condition.name for condition in admission.unmet])
    return judged


def test_of_the_glioma_study_exactly_the_series_after_contrast_is_admitted() -> None:
    judged = admissions("brain_tumour_mr")
    assert judged["T1post"] == (Verdict.ADMITTED, [])
    assert judged["T1pre_reg"] == (Verdict.NOT_WANTED, ["contrast agent"])
    assert judged["T2_reg"][0] is Verdict.NOT_WANTED
    assert set(judged["T2_reg"][1]) == {"description", "contrast agent", "echo time"}
    assert judged["FLAIR_reg"][0] is Verdict.NOT_WANTED
    assert {"description", "contrast agent", "echo time"} >= set(judged["FLAIR_reg"][1]) >= {"contrast agent"}
    assert len(judged) == 4


@pytest.mark.parametrize("package", ["organ_ct", "lung_nodule_ct"])
def test_no_mr_is_wanted_by_what_reads_ct(package: str) -> None:
    assert {verdict for verdict, _ in admissions(package).values()} == {Verdict.NOT_WANTED}


def test_the_command_writes_valid_objects_for_the_glioma_study(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "node", "models", "predict", "brain_tumour_mr", str(data_dir(STUDY))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "node", "init", str(tmp_path / "site")], check=True, cwd=REPOSITORY)
    configured = [*command[:3], "-c", str(tmp_path / "site" / "ainode.toml"), *command[3:]]
    done = subprocess.run(
        [*configured, "--out", str(tmp_path / "out"), "--json"],
        capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment, timeout=600,
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert document["outcome"] == "POSITIVE"
    objects = [Path(path) for path in document["objects"]]
    assert any(path.name.startswith("SR-") for path in objects)
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy is not installed")
    for path in objects:
        said = subprocess.run([validator, str(path)], capture_output=True, text=True, check=False)
        assert not [line for line in said.stderr.splitlines() if line.startswith("Error")]


def series(description: str, agent: str | None = None) -> Series:
    """One MR image with this description."""
    attributes: dict[str, str | float] = {"Modality": "MR", "SeriesDescription": description, "EchoTime": 9.5}
    if agent is not None:
        attributes["ContrastBolusAgent"] = agent
    image = Instance("2.25.1", "2.25.2", "1.2.840.10008.5.1.4.1.1.4", "2.25.3", "1.2.840.10008.1.2.1", attributes)
    stored = StoredInstance(image, "key", 1, "0" * 64, "AE", None)  # type: ignore[arg-type]
    return Series(1, "2.25.1", "2.25.2", 1, "", "AE", (stored,))


@pytest.mark.parametrize(
    ("description", "agent", "after"),
    [
        ("AX T1 POST GD", None, True),
        ("T1 +C", None, True),
        ("t1_mprage_km", None, True),
        ("Ax T1", "10ml multihance", True),
        ("Ax T1", "NONE", False),
        ("Ax T1", None, False),
        ("T1 pre contrast", None, False),
        ("T1 non-contrast", None, False),
        ("T1 without contrast", None, False),
        ("T1 prone", None, False),
        ("T1 face", None, False),
    ],
)
def test_contrast_is_known_by_agent_or_by_words(description: str, agent: str | None, after: bool) -> None:
    model = read_description(REPOSITORY / "models" / "brain_tumour_mr")
    conditions = judge(describe(series(description, agent)), model, ANY_ROUTE).conditions
    (contrast,) = (condition for condition in conditions if condition.name == "contrast agent")
    assert contrast.met is after
