"""Which DIMSE status a request about workitems is answered with: PS3.4 section CC.2, for the rest PS3.7 section 10.1.

The service class says what is wrong with a workitem; that an argument is wrong, or the node itself in trouble, is said
by the general statuses of each DIMSE service, which are not the same ones.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from node.errors import (
    InvalidAttributeValue,
    MissingAttribute,
    MissingAttributeValue,
    StoreUnavailable,
    WorkitemError,
)


class Service(enum.StrEnum):
    CREATE = "N-CREATE"
    GET = "N-GET"
    SET = "N-SET"
    ACTION = "N-ACTION"
    FIND = "C-FIND"


class General(enum.IntEnum):
    """What is not the service class's own: PS3.7 section 10.1, and Table CC.2.8-2 for C-FIND."""

    PROCESSING_FAILURE = 0x0110
    INVALID_ARGUMENT = 0x0115
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    MISMATCH = 0xA900
    UNABLE = 0xC000


# N-ACTION (PS3.7 section 10.1.4.1.10) and C-FIND have no 0106, 0120 and 0121.
_ARGUMENTS: Mapping[Service, int] = {Service.ACTION: General.INVALID_ARGUMENT, Service.FIND: General.MISMATCH}
_OF_ARGUMENTS = (MissingAttribute, MissingAttributeValue, InvalidAttributeValue)


def status_of(error: Exception, service: Service) -> int:
    """What ``service`` answers to ``error``."""
    if isinstance(error, _OF_ARGUMENTS):
        return int(_ARGUMENTS.get(service, error.dimse_status))
    if isinstance(error, WorkitemError):
        return error.dimse_status
    if isinstance(error, StoreUnavailable):
        return int(General.OUT_OF_RESOURCES if service is Service.FIND else General.RESOURCE_LIMITATION)
    return int(General.UNABLE if service is Service.FIND else General.PROCESSING_FAILURE)
