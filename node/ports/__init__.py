"""The seams between the steps. Steps import these, never each other; ``app`` supplies what stands behind them.

All times are aware UTC datetimes. Every method that changes something returns only after the change is durable.
"""

from node.ports.catalogue import Catalogue, Recorded
from node.ports.clock import Clock, RoleBoard
from node.ports.delivery import DeliveryOutcome, Destination, Outbox, Outgoing
from node.ports.inference import InferenceReply, InferenceRequest, Model, ModelExecutor
from node.ports.queue import JobQueue
from node.ports.results import EncodedObject, ResultEncoder, ResultWriter, Run
from node.ports.store import ObjectStore, StoredObject

__all__ = [
    "Catalogue",
    "Clock",
    "DeliveryOutcome",
    "Destination",
    "EncodedObject",
    "InferenceReply",
    "InferenceRequest",
    "JobQueue",
    "Model",
    "ModelExecutor",
    "ObjectStore",
    "Outbox",
    "Outgoing",
    "Recorded",
    "ResultEncoder",
    "ResultWriter",
    "RoleBoard",
    "Run",
    "StoredObject",
]
