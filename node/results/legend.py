"""A result in a few words, for pictures: their font has the letters of ASCII alone. Pure."""

from __future__ import annotations

import unicodedata

from node.domain.result import CodedConcept, Finding, Measurement, Outcome
from node.results.context import ResultContext

UNVERIFIED = "AI result, unverified, not for diagnostic use"
UNVERIFIED_SHORT = "AI, unverified"
_WORDS = {
    Outcome.NEGATIVE: "nothing was found",
    Outcome.NOT_EVALUABLE: "the images were not evaluated",
    Outcome.FAILED: "the images were not evaluated",
}
# What the decomposition of Unicode does not turn into ASCII.
_SPELT = str.maketrans(
    {"µ": "u", "μ": "u", "–": "-", "—": "-", "‑": "-", "−": "-", "×": "x", "≥": ">=", "≤": "<=", "ß": "ss", "·": ".",
     "‘": "'", "’": "'", "“": '"', "”": '"', "æ": "ae", "ø": "o", "Ø": "O", "đ": "d", "ł": "l", "Ł": "L", "°": " deg"}
)  # fmt: skip


def plain(text: str) -> str:
    """``text`` in ASCII and single spaces: accents are dropped, what has no counterpart becomes a question mark."""
    spelt = unicodedata.normalize("NFKD", text.translate(_SPELT))
    letters = "".join(letter for letter in spelt if not unicodedata.combining(letter))
    return " ".join("".join(letter if " " <= letter <= "~" else "?" for letter in letters).split())


def algorithm_words(run: ResultContext) -> str:
    algorithm = run.run.model.algorithm
    return plain(f"{algorithm.name} {algorithm.version}")


def outcome_words(run: ResultContext) -> str:
    """The outcome, so that nobody takes a failure for a negative; a demonstration says that it is one."""
    outcome = run.run.result.outcome
    words = f"{outcome}: {_WORDS[outcome]}" if outcome in _WORDS else str(outcome)
    return f"{words} (demonstration only)" if run.run.model.demonstration else words


def reason_words(run: ResultContext) -> str:
    reason = run.run.result.reason
    return "" if reason is None else plain(reason.text)


def details_of(finding: Finding) -> str:
    """Whether it was found, its measurements, qualities and probability."""
    parts = [] if finding.present else ["not found"]
    parts += [_measured(measurement) for measurement in finding.measurements]
    parts += [f"{quality.concept.meaning}: {quality.value.meaning}" for quality in finding.qualities]
    if finding.probability is not None:
        parts.append(f"probability {percent(finding.probability)}")
    return plain(", ".join(parts))


def percent(probability: float) -> str:
    """0..1 in whole percent; never 0 % or 100 % for what is not certain."""
    if 0 < probability < 0.005:
        return "< 1 %"
    if 0.995 <= probability < 1:
        return "> 99 %"
    return f"{100 * probability:.0f} %"


def _measured(measurement: Measurement) -> str:
    return f"{measurement.concept.meaning} {measurement.value:.4g} {_unit(measurement.unit)}".rstrip()


def _unit(unit: CodedConcept) -> str:
    """UCUM's own sign, but nothing for a bare number, and words for what UCUM only annotates."""
    if unit.value == "1":
        return ""
    return unit.meaning if unit.value.startswith("{") else unit.value
