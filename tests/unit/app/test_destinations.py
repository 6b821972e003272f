"""What the configuration says of a destination becomes what it is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.app.destinations import wishes
from node.config import parse
from node.domain.rendition import NO_WISHES, Rendition, Wishes
from node.errors import ConfigurationError

PEER = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}


def wishes_of(**keys: object) -> Wishes:
    config = parse({"destinations": [{"name": "pacs", **PEER, **keys}]}, Path("/"), {})
    return wishes(config)["pacs"]


def test_by_default_a_destination_gets_what_every_one_gets() -> None:
    assert wishes_of() == NO_WISHES == wishes_of(pictures=[], segmentation="model")


def test_pictures_and_a_type_of_segmentation() -> None:
    both = wishes_of(pictures=["secondary_capture", "presentation_state"], segmentation="labelmap")
    assert both == Wishes(frozenset({Rendition.SECONDARY_CAPTURE, Rendition.PRESENTATION_STATE}), Rendition.LABELMAP)
    assert both.renditions == {Rendition.SECONDARY_CAPTURE, Rendition.PRESENTATION_STATE, Rendition.LABELMAP}
    assert wishes_of(segmentation="binary").segmentation is Rendition.BINARY


@pytest.mark.parametrize(("key", "value"), [("pictures", ["film"]), ("segmentation", "fractional")])
def test_an_unknown_word_is_named_with_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as refused:
        wishes_of(**{key: value})
    assert f"destinations[0].{key}" in str(refused.value)
