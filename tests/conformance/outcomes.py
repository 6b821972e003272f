"""What every validator says of every golden object, and the table of it in docs/conformance.md.

``python -m tests.conformance.outcomes PAGE`` writes that table into the page; ``test_golden`` holds it to be true.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import highdicom as hd
import pydicom

from node.app.conformance import fill
from tests.conformance import validators
from tests.conformance.golden import SCRIPTS, TEXTS, Golden, Study, write_study

# dicom3tools 2022 and DCMTK 3.6.7 do not know Label Map Segmentation Storage, nor what may refer to it.
UNKNOWN = "label map"
DCIODVFY, DCENTVFY, PIXELMED, DSRDUMP, DCMPSCHK, HIGHDICOM = VALIDATORS = (
    "dciodvfy", "dcentvfy", "PixelMed", "dsrdump", "dcmpschk", "highdicom",
)  # fmt: skip
_OF_MODALITY: Mapping[str, Sequence[str]] = {
    "SR": (DCIODVFY, DCENTVFY, PIXELMED, DSRDUMP, HIGHDICOM),
    "KO": (DCIODVFY, DCENTVFY, DSRDUMP, HIGHDICOM),
    "SEG": (DCIODVFY, DCENTVFY, HIGHDICOM),
    "OT": (DCIODVFY, DCENTVFY, HIGHDICOM),
    "PR": (DCIODVFY, DCENTVFY, DCMPSCHK),
}


@dataclass(frozen=True, slots=True)
class Said:
    """All lines of one validator about one object."""

    validator: str
    about: Golden
    lines: Sequence[str]


def validators_of(one: Golden) -> tuple[str, ...]:
    """Who can judge this object."""
    able = _OF_MODALITY[one.modality]
    return tuple(name for name in able if one.case != UNKNOWN or name in (PIXELMED, HIGHDICOM))


def ask(study: Study, folder: Path) -> list[Said]:
    """Everybody but PixelMed, which is asked of several studies at once."""
    folder.mkdir()
    asked: Mapping[str, Callable[[Path], list[str]]] = {
        DCIODVFY: validators.dciodvfy_says,
        DSRDUMP: validators.dsrdump_says,
        DCMPSCHK: lambda path: validators.dcmpschk(_in_ascii(path, folder)),
    }
    said = [
        Said(name, one, asked[name](one.path)) for one in study.objects for name in validators_of(one) if name in asked
    ]
    for one in study.objects:
        if HIGHDICOM in validators_of(one):
            parse(one)
            said.append(Said(HIGHDICOM, one, ()))
    return [*said, *_entities(study, folder)]


def parse(one: Golden) -> object:
    """highdicom's own reading, which raises what it does not understand."""
    if one.modality == "SR":
        return hd.sr.srread(one.path)
    if one.modality == "SEG":
        return hd.seg.segread(one.path)
    if one.modality == "KO":
        return hd.ko.KeyObjectSelectionDocument.from_dataset(pydicom.dcmread(one.path))
    return hd.imread(one.path)


def _entities(study: Study, folder: Path) -> list[Said]:
    judged = [one for one in study.objects if DCENTVFY in validators_of(one)]
    lines = validators.dcentvfy_says([*_in_utf_8(study.images, folder), *(one.path for one in judged)])
    # A line names the files that it is about; one without a file is about all.
    return [
        Said(DCENTVFY, one, [line for line in lines if str(one.path) in line or str(folder.parent) not in line])
        for one in judged
    ]


def _in_ascii(path: Path, folder: Path) -> Path:
    """A copy without the names: dcmpschk takes every sign of several bytes for an error."""
    dataset = pydicom.dcmread(path)
    for keyword in TEXTS:
        setattr(dataset, keyword, "ASCII")
    dataset.save_as(folder / path.name)
    return folder / path.name


def _in_utf_8(images: Sequence[Path], folder: Path) -> list[Path]:
    """The images with their texts in UTF-8: dcentvfy compares bytes, not what they mean."""
    copies = []
    for path in images:
        image = pydicom.dcmread(path)
        image.decode()
        image.SpecificCharacterSet = "ISO_IR 192"
        # Names remember the bytes of their old character set.
        for keyword in ("PatientName", "ReferringPhysicianName"):
            setattr(image, keyword, str(image[keyword].value))
        copies.append(folder / path.name)
        image.save_as(copies[-1])
    return copies


def table(said: Sequence[Said]) -> str:
    """A row for each kind of object in each case; a cell is filled where that validator judges it."""
    rows: dict[tuple[str, str], set[str]] = {}
    for one in said:
        rows.setdefault((one.about.case, one.about.kind), set()).add(one.validator)
    lines = [f"| case | object | {' | '.join(VALIDATORS)} |", "|---" * (2 + len(VALIDATORS)) + "|"]
    for (case, kind), names in sorted(rows.items()):
        cells = ["no error" if name in names else "" for name in VALIDATORS]
        lines.append(f"| {case} | {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def expected(study: Study) -> str:
    """The table where nobody complains."""
    return table([Said(name, one, ()) for one in study.objects for name in validators_of(one)])


def main(page: Path) -> None:
    """Write the table into a page."""
    with TemporaryDirectory() as folder:
        made = expected(write_study(Path(folder), SCRIPTS["ASCII"]))
    page.write_text(fill(page.read_text(encoding="utf-8"), {"golden objects": made}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
