"""The example of docs/model-kit.md, "What a package's code can say": it runs, is accepted, and becomes DICOM."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import torch

from node.domain.result import InferenceResult, Outcome, SegmentationType
from node.domain.study import Volume
from node.infer.outputs import checked
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests.unit.results.runs import MODEL, run_on

PAGE = Path(__file__).parents[3] / "docs" / "model-kit.md"
MODALITIES = {"SEG", "OT", "SR", "KO"}


def said(run: Run, logits: torch.Tensor) -> Run:
    """The run with what the page's ``postprocess`` makes of the logits, as the node accepts it."""
    section = PAGE.read_text(encoding="utf-8").partition("## What a package's code can say\n")[2]
    block = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert block is not None
    words: dict[str, Any] = {}
    exec(compile(block[1], str(PAGE), "exec"), words)
    assert run.grid is not None
    volume = Volume(np.zeros(run.grid.shape, np.float32), run.grid, "MR")
    result: InferenceResult = words["postprocess"](logits, volume)
    model = replace(MODEL, segmentation_type=SegmentationType.FRACTIONAL, segments=(words["SEGMENT"],))
    return replace(run, model=model, result=checked(result, model, run.grid))


def test_the_example_is_accepted_and_written(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    assert run.grid is not None
    logits = torch.full((1, 1, *run.grid.shape), -3.0)
    logits[0, 0, 1, :2, :3] = 2.0
    run = said(run, logits)
    (finding,) = run.result.findings
    assert finding.image == run.grid.sources[1] == run.result.key_images[0]
    written = [pydicom.dcmread(io.BytesIO(one.part10)) for one in writer.write(run)]
    assert {one.Modality for one in written} == MODALITIES
    (seg,) = (one for one in written if one.Modality == "SEG")
    assert seg.SegmentationType == "FRACTIONAL"


def test_where_it_finds_nothing_it_is_negative(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    assert run.grid is not None
    run = said(run, torch.full((1, 1, *run.grid.shape), -3.0))
    assert run.result.outcome is Outcome.NEGATIVE
    assert writer.write(run)
