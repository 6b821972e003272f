"""Which language a visitor reads, and that every word is there in both."""

from __future__ import annotations

import re
import string

import pytest

from node.domain.result import Outcome
from node.show.application import TEMPLATE_FOLDERS, WORDS
from node.show.language import Catalogue, choose
from node.show.pages import TEMPLATES


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "expected"),
    [
        ("zh", "en", "en", "zh"),
        (None, "zh", "en", "zh"),
        (None, None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, None, "de,en;q=0.5,zh;q=0.6", "zh"),
        (None, None, "zh;q=0,en", "en"),
        ("xx", "yy", "de;q=nonsense,,;q=", "en"),
        (None, None, None, "en"),
    ],
)
def test_the_language(asked: str | None, kept: str | None, accepted: str | None, expected: str) -> None:
    assert choose(asked, kept, accepted) == expected


def test_both_languages_fill_in_the_same_things() -> None:
    for part in WORDS:
        for key, words in part.items():
            fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in words]
            assert fields[0] == fields[1], key
            assert all(words), key


def test_every_word_of_the_templates_is_in_the_catalogue() -> None:
    catalogue = Catalogue(*WORDS)
    for folder in (TEMPLATES, *TEMPLATE_FOLDERS):
        for path in folder.glob("*.html"):
            for key in re.findall(r"\bt\('([^']+)'(?=[,)])", path.read_text(encoding="utf-8")):
                assert key in catalogue, f"{path.name}: {key}"
    assert all(f"outcome.{one.value}" in catalogue for one in Outcome)


def test_a_word_is_said_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Catalogue({"a": ("a", "a")}, {"a": ("b", "b")})
