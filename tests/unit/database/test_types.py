"""What both databases can hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from node.database.types import SafeJson, UtcDateTime, storable, storable_text

JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON_LIKE)
def test_everything_json_like_becomes_strict_json_without_nul(value: object) -> None:
    text = json.dumps(storable(value), allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    assert "\\u0000" not in text


@given(JSON_LIKE | st.dictionaries(st.text() | st.integers(), JSON_LIKE))
def test_a_document_is_bound_as_what_is_storable_of_it(value: object) -> None:
    bound = SafeJson().bind_processor(sqlite.dialect())
    assert bound is not None
    if value is not None:
        assert json.loads(bound(value)) == json.loads(json.dumps(storable(value)))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_ordinary_text_is_kept(text: str) -> None:
    assert storable_text(text) == text


def test_numbers_of_libraries_and_other_things() -> None:
    given_ = {"a": np.float32(0.5), "b": np.int64(3), "c": (1, 2), "d": Path("x/y"), "e": float("inf"), 5: True}
    assert storable(given_) == {"a": 0.5, "b": 3, "c": [1, 2], "d": "x/y", "e": None, "5": True}


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])
def test_times_come_back_as_the_same_instant_in_utc(dialect: object) -> None:
    column = UtcDateTime()
    noon_in_tokyo = datetime(2026, 1, 2, 12, tzinfo=timezone(timedelta(hours=9)))
    back = column.process_result_value(column.process_bind_param(noon_in_tokyo, dialect), dialect)  # type: ignore[arg-type]
    assert back == noon_in_tokyo
    assert back is not None
    assert back.tzinfo is UTC


def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 2), sqlite.dialect())
