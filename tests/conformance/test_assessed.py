"""Accepted and corrected reports against PixelMed's validator and DCMTK's reader."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from node.database.plain import findings_to_plain
from node.domain.assessment import Assessment, AssessmentState, CorrectedValue, Decision, Word
from node.domain.result import Outcome
from node.results.assessed import VerifiedReportWriter
from node.results.writer import DicomResultWriter
from tests.conformance import validators
from tests.unit.results.runs import MAKER, header, run_on, save

WORD = Word(Decision.ACCEPT, "reader.one", datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC), "looked at")
WORDS = {
    "accepted": WORD,
    "value": replace(WORD, decision=Decision.CORRECT, values=(CorrectedValue(0, 0, 2.25),)),
    "outcome": replace(WORD, decision=Decision.CORRECT, outcome=Outcome.NEGATIVE),
}


def test_assessed_reports_are_valid(tmp_path: Path) -> None:
    run = run_on(save([header(number) for number in range(5)], tmp_path))
    report = DicomResultWriter(MAKER, zone=UTC).write(run)[-1].part10
    paths = []
    for name, word in WORDS.items():
        said = Assessment(1, 1, "1.2.3", "m", "1", "s", Outcome.POSITIVE, word, AssessmentState.PENDING)
        (written,) = VerifiedReportWriter(MAKER, UTC).assessed(
            [report], findings_to_plain(run.result.findings), said, None
        )
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(written.part10)
        assert validators.dsrdump(path) == [], name
        paths.append(path)
    assert validators.pixelmed(paths) == {path: [] for path in paths}
