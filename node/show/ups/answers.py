"""What HTTP says of the statuses of the service (PS3.18 sections 11.4 to 11.12)."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request, Response

from node import errors
from node.domain.workitem import Warned
from node.errors import WorkitemError

DICOM_JSON = "application/dicom+json"
# Everything else is a conflict with the present state of the workitem.
STATUSES: Mapping[type[WorkitemError], int] = {
    errors.MissingAttribute: 400,
    errors.MissingAttributeValue: 400,
    errors.InvalidAttributeValue: 400,
    errors.WorkitemNotScheduled: 400,
    errors.NotSchedulable: 400,
    errors.UnsuitableAction: 400,
    errors.NoSuchWorkitem: 404,
    errors.UnknownReceiver: 404,
    errors.TooManyWorkitems: 413,
}
CONFLICT = 409
REMARKS: Mapping[Warned, str] = {
    Warned.NOT_SUPPORTED: "Requested optional Attributes are not supported.",
    Warned.MODIFIED: "The Workitem was created with modifications.",
    Warned.NO_DELETION_LOCK: "Deletion Lock not granted.",
    Warned.ALREADY_CANCELED: "The UPS is already in the requested state of CANCELED.",
    Warned.ALREADY_COMPLETED: "The UPS is already in the requested state of COMPLETED.",
}


def status_of(error: WorkitemError) -> int:
    return STATUSES.get(type(error), CONFLICT)


def answered(request: Request, warned: Warned, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Done; a remark stands in a Warning header."""
    remark = REMARKS.get(warned)
    warning = {"Warning": f'299 {request.url.netloc} "{remark}"'} if remark else {}
    return Response(status_code=status, headers={**(headers or {}), **warning})
