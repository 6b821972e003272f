"""What the conformance statement says of workitems, from what the code says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from node import errors
from node.deliver import ups_events
from node.domain.workitem import EVENT, Warned
from node.errors import WorkitemError
from node.receive.status import Status
from node.receive.ups_scp import ups_contexts
from node.ups import data_set, requests

# Required where a workitem is created, beside what is kept as it was said.
_FURTHER: Final = (
    "ProcedureStepState", "InputReadinessState", "ScheduledProcedureStepPriority", "ScheduledWorkitemCodeSequence",
    "InputInformationSequence",
)  # fmt: skip
_WARNINGS: Final[Mapping[Warned, str]] = {
    Warned.SUCCESS: "done, and durable",
    Warned.NOT_SUPPORTED: "N-SET of attributes that cannot be changed: the others are",
    Warned.MODIFIED: "N-CREATE: something that was said is not kept; patient and study are those of the images",
    Warned.NO_DELETION_LOCK: "subscribed; a deletion lock is never granted",
    Warned.ALREADY_CANCELED: "it is CANCELED already",
    Warned.ALREADY_COMPLETED: "it is COMPLETED already",
}
_FAILURES: Final[Mapping[type[WorkitemError], str]] = {
    errors.MissingAttribute: "an attribute of type 1 is not there",
    errors.MissingAttributeValue: "an attribute of type 1 has no value",
    errors.InvalidAttributeValue: "a value that is none; a model, study or series that the node does not have; "
    "images of another patient; a series that the model does not take, or that is still received",
    errors.NoSuchAction: "another Action Type ID than 1 to 5",
    errors.DuplicateWorkitem: "there is a workitem with this SOP Instance UID",
    errors.WorkitemFinal: "it is COMPLETED or CANCELED, or superseded and cannot be COMPLETED",
    errors.WrongTransaction: "not the Transaction UID that claimed it, or none; the node itself performs it; the "
    "claim's lease is over",
    errors.ClaimLost: "a claim of what is IN PROGRESS: another performer, or the node itself, was first",
    errors.NotSchedulable: "SCHEDULED was asked for",
    errors.FinalStateIncomplete: "COMPLETED without station, begin, end, workitem code or output",
    errors.NoSuchWorkitem: "no workitem of this SOP Instance UID",
    errors.UnknownReceiver: "no address is configured for the Receiving AE",
    errors.WorkitemNotScheduled: "N-CREATE in another state",
    errors.WorkitemNotInProgress: "it is SCHEDULED, and only its performer could do this",
    errors.WorkitemCompleted: "a request to cancel what is COMPLETED",
    errors.PerformerUnreachable: "a request to cancel, and its performer subscribes to no event of it",
    errors.UnsuitableAction: "a single workitem was to be suspended",
    errors.TooManyWorkitems: "C-FIND: more than `ups.max_matches` match",
}


def contexts() -> Iterator[tuple[str, Sequence[str], str]]:
    """Abstract syntax, transfer syntaxes, and our role."""
    for context in ups_contexts():
        yield str(context.abstract_syntax), [str(uid) for uid in context.transfer_syntax or []], "SCP"
    yield EVENT, ups_events.SYNTAXES, "SCP, on an association that we open, by role selection"


def answers() -> Iterator[tuple[str, str, str]]:
    """Status, its name, and when it is answered."""
    for warned in Warned:
        yield f"{int(warned):04X}", warned.name, _WARNINGS[warned]
    yield f"{Status.PROCESSING_FAILURE:04X}", Status.PROCESSING_FAILURE.name, "an error of the node itself"
    for kind in sorted(WorkitemError.__subclasses__(), key=lambda kind: (kind.dimse_status, kind.code)):
        yield f"{kind.dimse_status:04X}", kind.code, _FAILURES[kind]


def attributes() -> Iterator[tuple[str, str, str]]:
    """Keyword, and what becomes of the attribute in N-CREATE and in N-SET."""
    required = (*requests.TYPE_1, *_FURTHER)
    changed = (*requests.SETTABLE, "ScheduledProcedureStepPriority")
    for keyword in dict.fromkeys((*required, *data_set.SAID)):
        kept = "kept" if keyword in requests.KEPT_AT_CREATION else "empty"
        yield keyword, "required" if keyword in required else kept, "changed" if keyword in changed else "not changed"
