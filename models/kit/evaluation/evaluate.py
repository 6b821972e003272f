"""Measure a package's weights on a part of its data, beside everything simpler, and write it down."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from models.kit.evaluation import pages
from models.kit.evaluation.kinds import measured
from models.kit.evaluation.parts import NAMES, named_cases, read_part
from models.kit.evaluation.pdf import write_pdf
from models.kit.evaluation.report import Report
from models.kit.evaluation.resampling import SAMPLES
from models.kit.evaluation.run import Parts, Run
from models.kit.task import Task
from models.kit.trained import trained_network, weights_digest

METRICS, PREDICTIONS, REPORT, PAPER = "metrics.json", "predictions.csv", "report.html", "report.pdf"
CARD_TABLE, CASES_PICTURE = "card_table.md", "cases.png"
LEARNING_CURVE = "learning_curve.png"
MEASURABLE = ("test", "validation")


def evaluate(
    task: Task,
    data: Path,
    weights: Path,
    out: Path,
    device: torch.device,
    part: str = "test",
    limit: int = 0,
    baselines: bool = True,
    samples: int = SAMPLES,
    prepared: Path | None = None,
) -> dict[str, Any]:
    """Write the report (``report.html``, ``report.pdf``) and what it is made of into ``out``.

    These are ``metrics.json``, ``predictions.csv``, ``cases.png`` and ``card_table.md``, and ``disagreement.csv`` where
    members of an ensemble or views of pictures vote.

    Temperature and operating point come from the validation cases alone; the baselines are fitted on the training
    cases and chosen on the validation cases.

    Args:
        part: ``test`` or ``validation``: which cases are measured.
        limit: only so many cases of each part, the classes in turn; 0 is all.
        baselines: whether they are measured too; they need the training cases.
        samples: resamples of each interval.
        prepared: the folder that ``prepare`` wrote, or into which it shall write; ``None`` is ``out``.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        InvalidModelPackage: the weights are absent or of another network.
        FileNotFoundError: the data is not there.
        ValueError: the part has no cases, or the validation cases are of one class only.
    """
    if part not in MEASURABLE:
        raise ValueError(f"{part} is no part that can be measured: {', '.join(MEASURABLE)}")
    out.mkdir(parents=True, exist_ok=True)
    network = trained_network(task, weights, device)
    cases, problems = named_cases(task, data, prepared or out, limit)
    wanted = NAMES if baselines else tuple(name for name in NAMES if name in ("validation", part))
    read = {name: read_part(task, cases[name], name, problems) for name in wanted}
    for name in ("validation", part):
        if not read[name].cases:
            raise ValueError(f"the part {name} has no cases that can be read")
    parts = Parts(read["train"], read["validation"], read[part]) if baselines else None
    digest = weights_digest(weights)
    run = Run(task, network, device, read["validation"], read[part], parts, out, problems, samples, digest)
    found = measured(run)
    counts = {name: one.as_json(task.classes) for name, one in read.items()}
    document = {
        "task": task.id,
        "kind": task.kind,
        "part": part,
        "weights_sha256": digest,
        "limit": limit,
        "samples": samples,
        "parts": counts,
        **found.document,
        "problems": [asdict(problem) for problem in problems],
    }
    curve = next((file for file in (weights.with_name(LEARNING_CURVE), out / LEARNING_CURVE) if file.is_file()), None)
    sections = (*found.page.sections, *pages.learning(curve))
    report = Report(task.id, part, digest, pages.counted(counts), sections, problems, samples)
    (out / METRICS).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    (out / REPORT).write_text(report.html(), encoding="utf-8", errors="replace")
    write_pdf(report, out / PAPER)
    (out / CARD_TABLE).write_text(pages.card(counts, found.page), encoding="utf-8")
    (out / CASES_PICTURE).write_bytes(found.page.cases_png)
    _write_table(out / PREDICTIONS, found.columns, found.rows)
    return document


def _write_table(file: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    # A file name on disk is bytes; what of it is no UTF-8 survives as surrogates.
    with file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
