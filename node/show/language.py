"""The languages of the pages: which one a visitor reads, and its words."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("en", "zh")
# Key -> the words in each of LANGUAGES; {names} are filled in.
Words = Mapping[str, tuple[str, str]]


class Catalogue:
    """The words of several pages in one: a page brings its own. A key is said once."""

    def __init__(self, *parts: Words) -> None:
        self._words: dict[str, tuple[str, str]] = {}
        for part in parts:
            twice = self._words.keys() & part.keys()
            if twice:
                raise ValueError(f"said twice: {sorted(twice)}")
            self._words.update(part)

    def say(self, language: str, key: str, **values: object) -> str:
        """
        Raises:
            KeyError: no page has words for it.
        """
        words = self._words[key][LANGUAGES.index(language)]
        return words.format(**values) if values else words

    def __contains__(self, key: str) -> bool:
        return key in self._words

    def keys(self) -> frozenset[str]:
        return frozenset(self._words)


def choose(asked: str | None, kept: str | None, accepted: str | None) -> str:
    """The language: what the address asks for, what was asked for before, what the browser prefers, or English.

    ``accepted`` is the header Accept-Language (RFC 9110 section 12.5.4).
    """
    for one in (asked, kept):
        if one in LANGUAGES:
            return one
    for tag in _by_weight(accepted or ""):
        if tag.split("-")[0] in LANGUAGES:
            return tag.split("-")[0]
    return LANGUAGES[0]


def _by_weight(header: str) -> list[str]:
    """Tags in lower case, the best first; what cannot be read, and what is refused, is left out."""
    weighed: list[tuple[float, str]] = []
    for part in header[:1000].split(","):
        tag, _, weight = part.strip().lower().partition(";q=")
        try:
            weighed.append((float(weight or 1), tag))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighed, key=lambda one: -one[0]) if weight > 0]
