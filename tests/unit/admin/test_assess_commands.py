"""``ainode results assess``: how a corrected value is named, and who may say something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from node.admin.cli.assess_commands import _value
from node.admin.cli.root import cli
from node.domain.assessment import CorrectedValue
from node.errors import NotFound
from tests.seeded import STUDY, seeded


def finding(*concepts: str) -> dict[str, Any]:
    return {"measurements": [{"concept": concept} for concept in concepts]}


FINDINGS = [finding("Volume", "Length"), finding("Volume")]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("Length=2.5", (0, 1, 2.5)), ("2.volume=3", (1, 0, 3.0)), ("1.Volume=1e3", (0, 0, 1000.0))],
)
def test_a_value_names_its_measurement(given: str, wanted: tuple[int, int, float]) -> None:
    assert _value(given, FINDINGS) == CorrectedValue(*wanted)


@pytest.mark.parametrize("given", ["Volume=2", "3.Volume=2", "Area=2", "Length", "Length=long", "=2", ""])
def test_a_value_that_names_none_or_several_is_refused(given: str) -> None:
    with pytest.raises(typer.BadParameter):
        _value(given, FINDINGS)


def test_a_name_without_an_account_says_nothing(tmp_path: Path) -> None:
    with seeded(tmp_path) as node:
        config = ["-c", str(tmp_path / "ainode.toml")]
        run = CliRunner().invoke(cli, ["results", "assess", STUDY, "accept", "--user", "nobody", *config])
        assert isinstance(run.exception, NotFound)
        assert node.records.assessments.of_study(STUDY) == []
        run = CliRunner().invoke(cli, ["results", "agreement", "--json", *config])
        assert run.exit_code == 0
        assert '"agreement": []' in run.output
