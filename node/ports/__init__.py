"""The seams between the steps. Steps import these, never each other; ``app`` supplies what stands behind them.

All times are aware UTC datetimes. Every method that changes something returns only after the change is durable.
"""

from node.ports.arrivals import (
    ArrivalJournal,
    ArrivalRecord,
    AssociationEnded,
    Batch,
    InstanceArrived,
    JournalEntry,
    LivingKeys,
    ReceiverStarted,
    Recording,
    Unrecorded,
)
from node.ports.catalogue import Catalogue, Recorded
from node.ports.clock import Clock, RoleBoard
from node.ports.counts import Closings, EarlierClosing, InstanceCounts
from node.ports.delivery import DeliveryOutcome, Destination, Outbox, Outgoing
from node.ports.documents import DueDocuments
from node.ports.inference import InferenceReply, InferenceRequest, Model, ModelExecutor
from node.ports.queue import JobQueue
from node.ports.reports import ReportRecord
from node.ports.results import (
    EncodedObject,
    RejectionWriter,
    ResultEncoder,
    ResultHistory,
    ResultWriter,
    Run,
    SourcePictures,
)
from node.ports.store import Draft, InstanceStore, ObjectStore, ResultStore, StoredObject, View
from node.ports.workitems import (
    Commissioner,
    ProcedureSteps,
    StatusReporter,
    Subscriptions,
    ToldReports,
    WorkitemStore,
)

__all__ = [
    "ArrivalJournal",
    "ArrivalRecord",
    "AssociationEnded",
    "Batch",
    "Catalogue",
    "Clock",
    "Closings",
    "Commissioner",
    "DeliveryOutcome",
    "Destination",
    "Draft",
    "DueDocuments",
    "EarlierClosing",
    "EncodedObject",
    "InferenceReply",
    "InferenceRequest",
    "InstanceArrived",
    "InstanceCounts",
    "InstanceStore",
    "JobQueue",
    "JournalEntry",
    "LivingKeys",
    "Model",
    "ModelExecutor",
    "ObjectStore",
    "Outbox",
    "Outgoing",
    "ProcedureSteps",
    "ReceiverStarted",
    "Recorded",
    "Recording",
    "RejectionWriter",
    "ReportRecord",
    "ResultEncoder",
    "ResultHistory",
    "ResultStore",
    "ResultWriter",
    "RoleBoard",
    "Run",
    "SourcePictures",
    "StatusReporter",
    "StoredObject",
    "Subscriptions",
    "ToldReports",
    "Unrecorded",
    "View",
    "WorkitemStore",
]
