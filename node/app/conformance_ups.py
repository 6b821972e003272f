"""What the conformance statement says of workitems, from what the code says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node import errors
from node.deliver import ups_events
from node.domain.workitem import EVENT, Warned
from node.errors import WorkitemError
from node.receive.ups_scp import ups_contexts
from node.receive.ups_statuses import General, Service, status_of
from node.ups import data_set, requests

# Required where a workitem is created, beside what is kept as it was said.
_FURTHER: Final = (
    "ProcedureStepState", "InputReadinessState", "ScheduledProcedureStepPriority", "ScheduledWorkitemCodeSequence",
    "InputInformationSequence",
)  # fmt: skip
ACTION, CREATE, FIND, GET, SET = Service.ACTION, Service.CREATE, Service.FIND, Service.GET, Service.SET


@dataclass(frozen=True, slots=True)
class Answer:
    """``clause`` is where the standard has the status for these services."""

    status: int
    name: str
    services: tuple[Service, ...]
    clause: str
    when: str


_CHANGE, _CANCEL, _SUBSCRIBE = "PS3.4 CC.2.1.4", "PS3.4 CC.2.2.4", "PS3.4 CC.2.3.4"
_CREATE, _SET, _GET, _FIND = "PS3.4 CC.2.5.4", "PS3.4 CC.2.6.4", "PS3.4 CC.2.7.4", "PS3.4 CC.2.8.4"
_N_SET, _N_ACTION, _N_CREATE = "PS3.7 10.1.3.1.9", "PS3.7 10.1.4.1.10", "PS3.7 10.1.5.1.6"

_DONE: Final = (
    Answer(0xFF00, "PENDING", (FIND,), _FIND, "a match"),
    Answer(0xFE00, "CANCELED", (FIND,), _FIND, "C-CANCEL was received"),
    Answer(Warned.SUCCESS, Warned.SUCCESS.name, tuple(Service), "PS3.4 CC.2", "done, and durable"),
    Answer(Warned.NOT_SUPPORTED, Warned.NOT_SUPPORTED.name, (GET,), _GET, "an attribute was asked for that it has not"),
    Answer(Warned.NOT_SUPPORTED, Warned.NOT_SUPPORTED.name, (SET,), _SET,
           "attributes that cannot be changed: the others are"),
    Answer(Warned.MODIFIED, Warned.MODIFIED.name, (CREATE,), _CREATE,
           "something that was said is not kept; patient and study are those of the images"),
    Answer(Warned.NO_DELETION_LOCK, Warned.NO_DELETION_LOCK.name, (ACTION,), _SUBSCRIBE,
           "subscribed; a deletion lock is never granted"),
    Answer(Warned.ALREADY_CANCELED, Warned.ALREADY_CANCELED.name, (ACTION,), f"{_CHANGE}, CC.2.2.4",
           "it is CANCELED already"),
    Answer(Warned.ALREADY_COMPLETED, Warned.ALREADY_COMPLETED.name, (ACTION,), _CHANGE, "it is COMPLETED already"),
)  # fmt: skip
_TROUBLE: Final = (
    Answer(General.PROCESSING_FAILURE, General.PROCESSING_FAILURE.name, (CREATE, GET, SET, ACTION), "PS3.7 10.1",
           "an error of the node itself"),
    Answer(General.RESOURCE_LIMITATION, General.RESOURCE_LIMITATION.name, (CREATE, GET, SET, ACTION), "PS3.7 10.1",
           "the database does not answer"),
    Answer(General.OUT_OF_RESOURCES, General.OUT_OF_RESOURCES.name, (FIND,), _FIND, "the database does not answer"),
    Answer(General.UNABLE, General.UNABLE.name, (FIND,), _FIND, "an error of the node itself"),
)  # fmt: skip
# For each error where it can occur, and when; of one that several services answer differently, each.
_REFUSED: Final[Mapping[type[WorkitemError], tuple[tuple[tuple[Service, ...], str, str], ...]]] = {
    errors.MissingAttribute: (
        ((CREATE,), _N_CREATE, "an attribute of type 1 is not there"),
        ((ACTION,), _N_ACTION, "an attribute that the action needs is not there"),
    ),
    errors.MissingAttributeValue: (
        ((CREATE,), _N_CREATE, "an attribute of type 1 has no value"),
        ((ACTION,), _N_ACTION, "an attribute that the action needs has no value"),
    ),
    errors.InvalidAttributeValue: (
        ((CREATE,), _N_CREATE, "a value that is none; a model, study or series that the node does not have; images of "
         "another patient; a series that the model does not take, or that is still received"),
        ((SET,), _N_SET, "a value that is none; the Procedure Step State, which an action changes"),
        ((ACTION,), _N_ACTION, "a state that there is not"),
        ((FIND,), _FIND, "a key that cannot be read"),
    ),
    errors.NoSuchAction: (((ACTION,), _N_ACTION, "another Action Type ID than 1 to 5"),),
    errors.DuplicateWorkitem: (((CREATE,), _N_CREATE, "there is a workitem with this SOP Instance UID"),),
    errors.InvalidWorkitemUid: (((CREATE,), _N_CREATE, "the SOP Instance UID is no UID"),),
    errors.WorkitemFinal: (
        ((SET,), _SET, "it is COMPLETED or CANCELED"),
        ((ACTION,), _CHANGE, "it is COMPLETED or CANCELED, or superseded and cannot be COMPLETED"),
    ),
    errors.WrongTransaction: (
        ((SET, ACTION), f"{_SET}, CC.2.1.4", "not the Transaction UID that claimed it, or none; the node itself "
         "performs it; the claim's lease is over"),
    ),
    errors.ClaimLost: (
        ((ACTION,), _CHANGE, "a claim of what is IN PROGRESS: another performer, or the node itself, was first"),
    ),
    errors.NotSchedulable: (((ACTION,), _CHANGE, "SCHEDULED was asked for"),),
    errors.FinalStateIncomplete: (
        ((ACTION,), _CHANGE, "COMPLETED without station, begin, end, workitem code or output"),
    ),
    errors.NoSuchWorkitem: (
        ((GET, SET, ACTION), f"{_GET}, CC.2.6.4, CC.2.1.4 to CC.2.3.4", "no workitem of this SOP Instance UID"),
    ),
    errors.UnknownReceiver: (((ACTION,), _SUBSCRIBE, "the Receiving AE is not in `ups.receivers`"),),
    errors.WorkitemNotScheduled: (((CREATE,), _CREATE, "it is to be created in another state"),),
    errors.WorkitemNotInProgress: (
        ((SET, ACTION), f"{_SET}, CC.2.1.4", "it is SCHEDULED, and only its performer could do this"),
    ),
    errors.WorkitemCompleted: (((ACTION,), _CANCEL, "a request to cancel what is COMPLETED"),),
    errors.PerformerUnreachable: (
        ((ACTION,), _CANCEL, "a request to cancel, and its performer subscribes to no event of it"),
    ),
    errors.UnsuitableAction: (((ACTION,), _SUBSCRIBE, "a single workitem was to be suspended"),),
    errors.TooManyWorkitems: (((FIND,), _FIND, "more than `ups.max_matches` match"),),
}  # fmt: skip


def contexts() -> Iterator[tuple[str, Sequence[str], str]]:
    """Abstract syntax, transfer syntaxes, and our role."""
    for context in ups_contexts():
        yield str(context.abstract_syntax), [str(uid) for uid in context.transfer_syntax or []], "SCP"
    yield EVENT, ups_events.SYNTAXES, "SCP, on an association that we open, by role selection"


def answered() -> Iterator[Answer]:
    """Every status that a request can be answered with."""
    yield from _DONE
    yield from _TROUBLE
    for kind in WorkitemError.__subclasses__():
        for services, clause, when in _REFUSED[kind]:
            yield Answer(status_of(kind(), services[0]), kind.code, services, clause, when)


def answers() -> Iterator[tuple[str, str, str, str, str]]:
    """Status, its name, of which services, where the standard has it, and when it is answered."""
    for one in sorted(answered(), key=lambda one: (one.status, one.services, one.name)):
        yield f"{one.status:04X}", one.name, ", ".join(one.services), one.clause, one.when


def attributes() -> Iterator[tuple[str, str, str]]:
    """Keyword, and what becomes of the attribute in N-CREATE and in N-SET."""
    required = (*requests.TYPE_1, *_FURTHER)
    changed = (*requests.SETTABLE, "ScheduledProcedureStepPriority")
    for keyword in dict.fromkeys((*required, *data_set.SAID)):
        kept = "kept" if keyword in requests.KEPT_AT_CREATION else "empty"
        yield keyword, "required" if keyword in required else kept, "changed" if keyword in changed else "not changed"
