"""Logs are JSON lines on stderr, and hold no patient data even when somebody hands it in."""

from __future__ import annotations

import json
import logging
import warnings
from datetime import datetime, timedelta

import pytest
import structlog

from node import log
from node.errors import GantryTilt

pytestmark = pytest.mark.usefixtures("logging_restored")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_one_json_line_with_level_and_utc_time(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO")
    structlog.get_logger().info("series.closed", series_instance_uid="1.2.3", jobs=["a"])
    (line,) = lines(capsys)
    at = datetime.fromisoformat(str(line.pop("at")))
    assert at.utcoffset() == timedelta(0)
    assert line == {"event": "series.closed", "level": "info", "series_instance_uid": "1.2.3", "jobs": ["a"]}


def test_the_level_holds(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("WARNING")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("heard")
    log.configure("DEBUG")
    structlog.get_logger().debug("heard too")
    assert [line["event"] for line in lines(capsys)] == ["heard", "heard too"]


def test_a_logger_made_before_configure_follows_it(capsys: pytest.CaptureFixture[str]) -> None:
    early = structlog.get_logger()
    log.configure("INFO")
    early.info("early")
    assert [line["event"] for line in lines(capsys)] == ["early"]


@pytest.mark.parametrize("name", ["pynetdicom.assoc", "sqlalchemy.engine", "alembic.runtime.migration"])
def test_libraries_speak_json_from_warning_on(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("DEBUG")
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("%d of %d", 1, 2)
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("1 of 2", "warning", name)


def test_what_libraries_quote_of_headers_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("DEBUG")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        warnings.warn("Invalid value for VR PN: 'Doe^Jane'", stacklevel=1)
    logging.getLogger("pydicom").error("Doe^Jane")
    assert lines(capsys) == []


@pytest.mark.parametrize("key", ["patient_name", "PatientName", "patient_id", "PatientBirthDate", "accession_number"])
def test_patient_attributes_are_dropped_at_any_depth(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO")
    structlog.get_logger().info("x", **{key: "Doe^Jane", "inner": [{key: "Doe^Jane"}]})
    (line,) = lines(capsys)
    assert line[key] == log.DROPPED
    assert line["inner"] == [{key: log.DROPPED}]


def test_other_names_are_not_dropped() -> None:
    assert log.drop_patient_data(None, "info", {"model_name": "x", "patients": 3}) == {"model_name": "x", "patients": 3}


def test_a_foreign_exception_keeps_its_type_and_place_and_loses_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO")
    try:
        int("Doe^Jane")
    except ValueError as error:
        structlog.get_logger().error("by value", exc_info=error)
        structlog.get_logger().exception("by context")
        logging.getLogger("pynetdicom").exception("by a library")
    found = lines(capsys)
    assert [line["event"] for line in found] == ["by value", "by context", "by a library"]
    for line in found:
        exception = line["exception"]
        assert isinstance(exception, dict)
        assert (exception["type"], exception["message"]) == ("ValueError", None)
        assert "test_log.py" in exception["at"][-1]
    assert "Doe" not in json.dumps(found)


def test_our_own_errors_keep_their_message(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO")
    structlog.get_logger().error("x", exc_info=GantryTilt("gantry tilt of 14 degrees"))
    (line,) = lines(capsys)
    assert line["exception"] == {"type": "GantryTilt", "message": "gantry tilt of 14 degrees", "at": []}
