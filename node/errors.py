"""The one tree of errors.

AinodeError
├── ConfigurationError            every problem of a configuration at once (exit code 78)
├── ReceiveError                  carries the DIMSE status that the sender is answered
│   ├── OutOfResources            A700  disk or quota
│   ├── DataSetMismatch           A900  data set does not match the SOP class or UID of the command
│   ├── InvalidUid                C001  a UID that is no UID (PS3.5 section 9)
│   ├── UndecodableDataSet        C002  the data set cannot be parsed
│   ├── IncompleteDataSet         C003  a mandatory attribute is absent
│   └── UnusableKey               A900  a query that its SOP class does not have, or with an unusable key
├── StoreError
│   ├── StoreUnavailable          write, flush or rename failed (retryable)
│   └── ObjectMissing             a row points at bytes that are not there
├── InputError                    the model cannot judge this input: outcome NOT EVALUABLE, never a retry
│   ├── NoPixelData
│   ├── UndecodablePixelData
│   ├── UnsupportedImage
│   ├── ConstantImage, SaturatedImage, EmptySlices, ImplausibleIntensity,
│   ├── TruncatedFieldOfView, IncompleteOrgan, OrientationNotSupported,
│   ├── PictureSizeOutsideLimits, ColourNotSupported, BurnedInAnnotation,
│   ├── OutOfDistribution         unlike what the network was trained on
│   └── GeometryError
│       ├── MissingSlices, UnevenSpacing, DuplicateSlices, MixedOrientation,
│       └── GantryTilt, SeveralAcquisitions, MixedImages
├── ModelError
│   ├── InvalidModelPackage
│   ├── WeightsDigestMismatch
│   └── InvalidModelOutput
├── InferenceError                one attempt is lost, the worker is not
│   ├── InferenceTimeout, WorkerLost, DeviceOutOfMemory (retryable)
│   └── JobCanceled
├── ResultError
│   └── ResultVerificationFailed  a written object did not survive its own re-reading
├── DeliveryError
│   ├── DestinationUnreachable, AssociationRejected, StoreRefused (retryable)
│   ├── CommitmentFailed          (retryable: what failed is sent again)
│   ├── SopClassRefused           the destination does not take this SOP class
│   ├── DestinationFull           no room there (retryable)
│   ├── DestinationBusy           it says when to come again (retryable)
│   ├── AccessRefused             it does not know us, or what we may do (retryable: until somebody gives us the right)
│   ├── UnexpectedAnswer          what it answered is no answer to what was said (retryable)
│   ├── ReadBackFailed            stored, it said, and then it was not there (retryable)
│   ├── ObjectTooLarge            it does not take so much at once
│   ├── MessageRefused            it understood a message and does not want it
│   ├── QueryRefused              a source answered a query with a failure
│   ├── PatientMismatch           the PACS says that the study is another patient's: held until somebody releases it
│   └── RetrievalFailed           a source did not send what it was asked for, or not all of it (retryable)
└── OperationError
    ├── NotFound
    ├── InvalidTransition
    ├── Superseded                a newer job stands for this one
    ├── AlreadyWithdrawn          the result was withdrawn before
    ├── AlreadyThere              there is one of this name
    ├── InvalidAccount            a name or a password is not as it should be
    ├── NotLoggedIn, LoginRefused, TooManyAttempts, ForgedRequest
    ├── InvalidAssessment         what a person says of a result does not fit it
    ├── LibraryMissing            a library of an optional extra is not installed
    ├── KitRefused                the model kit cannot do that with this package, these files or these settings
    └── WorkitemError             carries the DIMSE status that whoever asks for a workitem is answered (PS3.4 CC.2)
        ├── MissingAttribute, MissingAttributeValue, InvalidAttributeValue, NoSuchAction
        ├── DuplicateWorkitem, NoSuchWorkitem, NotSchedulable, WorkitemNotScheduled
        ├── WorkitemFinal, WorkitemCompleted, WorkitemNotInProgress, FinalStateIncomplete
        ├── ClaimLost             C302  somebody else was first
        ├── WrongTransaction      C301  not the one that claimed it
        ├── UnknownReceiver, PerformerUnreachable, UnsuitableAction
        └── TooManyWorkitems      A700  more match than are told at once

Messages and details never contain patient data: UIDs, numbers and technical words only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class AinodeError(Exception):
    """Root of the tree. ``code`` is stable and machine-readable, ``details`` explain it without patient data."""

    code: ClassVar[str] = "AinodeError"
    retryable: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.code = cls.__name__

    def __init__(self, message: str = "", **details: object) -> None:
        super().__init__(message or self.code)
        self.message = message or self.code
        self.details: Mapping[str, object] = details

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross the pipe from the inference child: keep the details.
        return (_rebuild, (type(self), self.message, dict(self.details)))


def _rebuild(kind: type[AinodeError], message: str, details: dict[str, object]) -> AinodeError:
    error = kind.__new__(kind)
    AinodeError.__init__(error, message, **details)
    return error


class ConfigurationError(AinodeError):
    """All problems of one configuration, each as (key path, problem)."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {problem}" for path, problem in problems))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[object, ...]:
        return (ConfigurationError, (self.problems,))


class ReceiveError(AinodeError):
    """An instance is not accepted; the sender is answered ``dimse_status`` (PS3.4 Table B.2-1)."""

    dimse_status: ClassVar[int] = 0xC000


class OutOfResources(ReceiveError):
    dimse_status = 0xA700


class DataSetMismatch(ReceiveError):
    dimse_status = 0xA900


class InvalidUid(ReceiveError):
    dimse_status = 0xC001


class UndecodableDataSet(ReceiveError):
    dimse_status = 0xC002


class IncompleteDataSet(ReceiveError):
    dimse_status = 0xC003


class UnusableKey(ReceiveError):
    """The identifier of a query does not say what is asked for (PS3.4 Table C.4-1)."""

    dimse_status = 0xA900


class StoreError(AinodeError):
    pass


class StoreUnavailable(StoreError):
    retryable = True


class ObjectMissing(StoreError):
    pass


class InputError(AinodeError):
    """The input does not fit: the outcome is NOT EVALUABLE and ``message`` is the reason a physician reads."""


class NoPixelData(InputError):
    pass


class UndecodablePixelData(InputError):
    pass


class UnsupportedImage(InputError):
    pass


class ConstantImage(InputError):
    """Every pixel has the same value."""


class SaturatedImage(InputError):
    pass


class EmptySlices(InputError):
    pass


class ImplausibleIntensity(InputError):
    """Values that the modality, or the model's declaration, does not allow."""


class TruncatedFieldOfView(InputError):
    """The body goes on beyond the edge of the field of view."""


class IncompleteOrgan(InputError):
    """The organ goes on beyond the first or the last slice."""


class OrientationNotSupported(InputError):
    pass


class PictureSizeOutsideLimits(InputError):
    pass


class ColourNotSupported(InputError):
    pass


class BurnedInAnnotation(InputError):
    pass


class OutOfDistribution(InputError):
    """The network's embedding of the input lies too far from those of its training data."""


class GeometryError(InputError):
    pass


class MissingSlices(GeometryError):
    pass


class UnevenSpacing(GeometryError):
    pass


class DuplicateSlices(GeometryError):
    pass


class MixedOrientation(GeometryError):
    pass


class GantryTilt(GeometryError):
    pass


class SeveralAcquisitions(GeometryError):
    pass


class MixedImages(GeometryError):
    """Images of one series differ in size, spacing or photometric interpretation."""


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


class ResultError(AinodeError):
    pass


class ResultVerificationFailed(ResultError):
    pass


class DeliveryError(AinodeError):
    retryable = True


class DestinationUnreachable(DeliveryError):
    pass


class AssociationRejected(DeliveryError):
    pass


class StoreRefused(DeliveryError):
    """The destination answered a C-STORE with a failure; ``details['status']`` is its DIMSE status."""


class SopClassRefused(DeliveryError):
    retryable = False


class CommitmentFailed(DeliveryError):
    pass


class DestinationFull(DeliveryError):
    pass


class DestinationBusy(DeliveryError):
    """``details['retry_after_s']`` is what it asked for; None where it did not say."""


class AccessRefused(DeliveryError):
    pass


class UnexpectedAnswer(DeliveryError):
    pass


class ReadBackFailed(DeliveryError):
    pass


class ObjectTooLarge(DeliveryError):
    retryable = False


class MessageRefused(DeliveryError):
    """``details['answer']`` is its code (HL7 table 0008, or an HTTP status); of its text only the length is kept."""

    retryable = False


class QueryRefused(DeliveryError):
    """A source answered a C-FIND with a failure; ``details['status']`` is its DIMSE status."""


class PatientMismatch(DeliveryError):
    """``details['differs']`` are the keywords of what differs, never its values."""

    retryable = False


class RetrievalFailed(DeliveryError):
    """``details`` say with which DIMSE status a C-GET or C-MOVE ended, and how many of its sub-operations failed."""


class OperationError(AinodeError):
    pass


class NotFound(OperationError):
    pass


class InvalidTransition(OperationError):
    pass


class Superseded(OperationError):
    """What was judged is no longer what is there: another job, or none, stands for this one."""


class AlreadyWithdrawn(OperationError):
    """The result was withdrawn before: it is neither withdrawn twice nor run again."""


class InvalidAssessment(OperationError):
    """``details['field']`` names what is wrong."""


class AlreadyThere(OperationError):
    pass


class InvalidAccount(OperationError):
    pass


class NotLoggedIn(OperationError):
    """Only a named user may do this, or see this."""


class LoginRefused(OperationError):
    pass


class TooManyAttempts(OperationError):
    pass


class ForgedRequest(OperationError):
    """A request that changes something came from another site, or without the token of the session."""


class LibraryMissing(OperationError):
    pass


class KitRefused(OperationError):
    pass


class WorkitemError(OperationError):
    """What was asked of a Unified Procedure Step cannot be done; ``dimse_status`` says why (PS3.4 section CC.2)."""

    dimse_status: ClassVar[int] = 0x0110


class MissingAttribute(WorkitemError):
    dimse_status = 0x0120


class MissingAttributeValue(WorkitemError):
    dimse_status = 0x0121


class InvalidAttributeValue(WorkitemError):
    """``details['attribute']`` is its keyword."""

    dimse_status = 0x0106


class NoSuchAction(WorkitemError):
    dimse_status = 0x0123


class DuplicateWorkitem(WorkitemError):
    dimse_status = 0x0111


class WorkitemFinal(WorkitemError):
    dimse_status = 0xC300


class WrongTransaction(WorkitemError):
    dimse_status = 0xC301


class ClaimLost(WorkitemError):
    dimse_status = 0xC302


class NotSchedulable(WorkitemError):
    """Only creating a workitem makes it SCHEDULED."""

    dimse_status = 0xC303


class FinalStateIncomplete(WorkitemError):
    dimse_status = 0xC304


class NoSuchWorkitem(WorkitemError):
    dimse_status = 0xC307


class UnknownReceiver(WorkitemError):
    """No address is configured for this AE title."""

    dimse_status = 0xC308


class WorkitemNotScheduled(WorkitemError):
    """Whoever creates a workitem must say that it is SCHEDULED."""

    dimse_status = 0xC309


class WorkitemNotInProgress(WorkitemError):
    dimse_status = 0xC310


class WorkitemCompleted(WorkitemError):
    dimse_status = 0xC311


class PerformerUnreachable(WorkitemError):
    dimse_status = 0xC312


class UnsuitableAction(WorkitemError):
    dimse_status = 0xC314


class TooManyWorkitems(WorkitemError):
    dimse_status = 0xA700
