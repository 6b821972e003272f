"""By which words a line of the worklist is found. Pure.

A term is a letter for its kind and the word in hexadecimal digits of UTF-8: in this form words sort alike in every
language of every database, and what begins with a word lies between two terms.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

MODALITY, OUTCOME, MODEL, OF_MODEL, WORD, UNASSESSED, STUDY = "m", "o", "n", "p", "w", "u", "i"
# More of a word, or of a text, is not searched for.
LONGEST_WORD, MOST_WORDS, MOST_ASKED = 32, 64, 8
# Behind every hexadecimal digit.
BEHIND = "g"
_WORD = re.compile(r"\w+")
_UID = re.compile(r"[0-9]+(\.[0-9]+){3,}")


def term(kind: str, value: str = "") -> str:
    return kind + value.encode("utf-8", "replace").hex()


def value_of(found: str) -> str:
    return bytes.fromhex(found[1:]).decode("utf-8")


def of_model(model: str, outcome: str) -> str:
    """That this model has this outcome."""
    return term(OF_MODEL, f"{model}\0{outcome}")


def words_of(texts: Iterable[str]) -> list[str]:
    """The words to find a line by. Chinese is written without spaces: there a word begins at each character."""
    found: dict[str, None] = {}
    for text in texts:
        for word in _words(text):
            starts = range(len(word)) if any(_is_ideograph(one) for one in word) else range(1)
            for start in starts:
                found[word[start : start + LONGEST_WORD]] = None
                if len(found) >= MOST_WORDS:
                    return list(found)
    return list(found)


@dataclass(frozen=True, slots=True)
class Range:
    """Terms from ``lowest`` to before ``behind``; without it this one term."""

    lowest: str
    behind: str | None = None

    def holds(self, one: str) -> bool:
        return one == self.lowest if self.behind is None else self.lowest <= one < self.behind


def asked(text: str) -> list[Range]:
    """What is typed: a Study Instance UID, or words of which each must begin one of the line's."""
    if _UID.fullmatch(text.strip()):
        return [Range(term(STUDY, text.strip()))]
    beginnings = [term(WORD, word[:LONGEST_WORD]) for word in _words(text)[:MOST_ASKED]]
    return [Range(lowest, lowest + BEHIND) for lowest in beginnings]


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text[:10_000]).casefold().replace("_", " "))


def _is_ideograph(character: str) -> bool:
    return "\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3"
