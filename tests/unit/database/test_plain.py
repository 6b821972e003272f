"""Findings as plain JSON."""

from __future__ import annotations

import json

from node.database.plain import findings_to_plain
from node.domain.result import Finding
from node.domain.study import SopRef
from tests.unit.results.located import MARGIN, NODULE, outlines


def test_everything_that_is_said_of_a_finding() -> None:
    plain = json.loads(json.dumps(findings_to_plain([outlines(3)["polygon"]])))
    (finding,) = plain
    assert finding["location"] == {
        "graphic_type": "POLYGON",
        "points": [[1.0, 0.0, 0.0], [1.0, 0.0, 4.0], [1.0, 3.0, 4.0], [1.0, 3.0, 0.5]],
    }
    assert finding["qualities"][0]["concept"]["value"] == MARGIN.concept.value
    assert finding["qualities"][0]["value"]["meaning"] == MARGIN.value.meaning
    assert finding["tracking_id"] == "nodule 2"
    # The keys of the command line stay as they are.
    assert set(finding) >= {"concept", "probability", "measurements"}
    assert set(finding["measurements"][0]) >= {"concept", "value", "unit"}


def test_what_is_not_said() -> None:
    (finding,) = findings_to_plain([Finding(NODULE, slice=3, image=SopRef("1.2", "1.2.3"))])
    assert (finding["location"], finding["qualities"], finding["tracking_id"], finding["slice"]) == (None, [], None, 3)
