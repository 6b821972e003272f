"""Logs: JSON lines on stderr, times in UTC, without patient data.

What is logged names UIDs, numbers and technical words. As a last safety net, values under the names of patient
attributes are dropped, and of a foreign exception only its type and the places in the code are kept: its message may
quote a header value.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from structlog.typing import Processor

from node.errors import AinodeError

# Libraries speak only when something is wrong.
LIBRARY_LEVEL = logging.WARNING
# These quote header values in their messages.
QUOTING_LOGGERS = ("pydicom", "py.warnings", "highdicom")

# DICOM keywords of the patient module and of people named in headers, as keywords and in snake_case.
PATIENT_KEYWORDS = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientComments",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "AdditionalPatientHistory",
    "EthnicGroup",
    "Occupation",
    "MedicalRecordLocator",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
)
DROPPED = "[patient data dropped]"

EventDict = MutableMapping[str, Any]


def configure(level: str = "INFO") -> None:
    """Send structlog's and the standard library's loggers to stderr as JSON lines. May be called again."""
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        shorten_exception,
        drop_patient_data,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *first],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(LIBRARY_LEVEL)
    logging.getLogger("node").setLevel(level)
    structlog.configure(
        processors=[*first, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_NodeLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)
    for name in QUOTING_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _NodeLoggerFactory:
    """Every structlog logger writes through the one standard logger ``node``."""

    def __call__(self, *args: object) -> logging.Logger:
        return logging.getLogger("node")


def shorten_exception(_logger: object, _method: str, event: EventDict) -> EventDict:
    """``exc_info`` as ``exception``: type, code and message of our own errors, and for any other the type alone."""
    raised = _raised(event.pop("exc_info", None))
    if raised is not None:
        event["exception"] = {
            "type": type(raised).__name__,
            "message": raised.message if isinstance(raised, AinodeError) else None,
            "at": [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(raised.__traceback__)
            ],
        }
    return event


def drop_patient_data(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace what stands under the name of a patient attribute, at any depth."""
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(key: object, value: Any) -> Any:
    if _normal(key) in _PATIENT_NAMES:
        return DROPPED
    if isinstance(value, Mapping):
        return {inner: _clean(inner, item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(None, item) for item in value]
    return value


def _normal(key: object) -> str:
    return str(key).replace("_", "").replace(" ", "").replace("'", "").lower()


_PATIENT_NAMES = frozenset(map(_normal, PATIENT_KEYWORDS))


def _raised(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    value = exc_info[1] if isinstance(exc_info, tuple) else sys.exc_info()[1] if exc_info else None
    return value if isinstance(value, BaseException) else None
