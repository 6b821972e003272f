"""Model packages, and attempts to run them."""

from __future__ import annotations

from node.errors.root import AinodeError


class ModelError(AinodeError):
    pass


class InvalidModelPackage(ModelError):
    pass


class WeightsDigestMismatch(ModelError):
    pass


class InvalidModelOutput(ModelError):
    """A model returned what no result can be made of; ``details['field']`` names it."""


class InferenceError(AinodeError):
    retryable = True


class InferenceTimeout(InferenceError):
    pass


class WorkerLost(InferenceError):
    """The process that ran the job died (crash, kill, power)."""


class DeviceOutOfMemory(InferenceError):
    pass


class JobCanceled(InferenceError):
    retryable = False
