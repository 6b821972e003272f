"""The outcomes of a study are those that users rely on, and every one is explained."""

from __future__ import annotations

import re

from node.domain.result import Outcome
from node.show.outcome import IMPORTANCE
from tests.peers import REPOSITORY

# The values that the command line promises, and the one that withdrawing added.
PROMISED = {"POSITIVE", "NEGATIVE", "NOT EVALUABLE", "FAILED", "PENDING", "NOT WANTED"}
ADDED = {"WITHDRAWN"}
ROW = re.compile(r"^\| ([A-Z ]+) \| ", re.MULTILINE)


def test_there_are_no_others_and_each_is_explained() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.split("## What `outcome` says", 1)[1].split("\n## ", 1)[0]
    assert {one.value for one in Outcome} == PROMISED | ADDED
    assert set(ROW.findall(section)) == PROMISED | ADDED
    assert set(IMPORTANCE) == set(Outcome), "none of them is without its place"
