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
├── RetrievalRefused              carries the DIMSE status that a C-MOVE or C-GET is answered
│   ├── UnknownMoveDestination    A801  a C-MOVE to where nobody configured anything
│   └── TooManyInstances          A701  more than one retrieval can count
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
│   ├── OutcomeNotChosen          the destination is told of other outcomes: not sent unless an operator says so
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
    ├── NotAcceptable             it is there, and not in any form that was asked for
    ├── SearchTooWide             an answer would have to be cut short
    ├── UnusableViewer            a package is no viewer that could be installed
    └── WorkitemError             carries the DIMSE status that whoever asks for a workitem is answered (PS3.4 CC.2)
        ├── MissingAttribute, MissingAttributeValue, InvalidAttributeValue, NoSuchAction
        ├── DuplicateWorkitem, InvalidWorkitemUid, NoSuchWorkitem, NotSchedulable, WorkitemNotScheduled
        ├── WorkitemFinal, WorkitemCompleted, WorkitemNotInProgress, FinalStateIncomplete
        ├── ClaimLost             C302  somebody else was first
        ├── WrongTransaction      C301  not the one that claimed it
        ├── UnknownReceiver, PerformerUnreachable, UnsuitableAction
        └── TooManyWorkitems      A700  more match than are told at once

Messages and details never contain patient data: UIDs, numbers and technical words only.
"""

from __future__ import annotations

from node.errors.deliver import (
    AccessRefused,
    AssociationRejected,
    CommitmentFailed,
    DeliveryError,
    DestinationBusy,
    DestinationFull,
    DestinationUnreachable,
    MessageRefused,
    ObjectTooLarge,
    OutcomeNotChosen,
    PatientMismatch,
    QueryRefused,
    ReadBackFailed,
    RetrievalFailed,
    SopClassRefused,
    StoreRefused,
    UnexpectedAnswer,
)
from node.errors.infer import (
    DeviceOutOfMemory,
    InferenceError,
    InferenceTimeout,
    InvalidModelOutput,
    InvalidModelPackage,
    JobCanceled,
    ModelError,
    WeightsDigestMismatch,
    WorkerLost,
)
from node.errors.inputs import (
    BurnedInAnnotation,
    ColourNotSupported,
    ConstantImage,
    DuplicateSlices,
    EmptySlices,
    GantryTilt,
    GeometryError,
    ImplausibleIntensity,
    IncompleteOrgan,
    InputError,
    MissingSlices,
    MixedImages,
    MixedOrientation,
    NoPixelData,
    OrientationNotSupported,
    OutOfDistribution,
    PictureSizeOutsideLimits,
    SaturatedImage,
    SeveralAcquisitions,
    TruncatedFieldOfView,
    UndecodablePixelData,
    UnevenSpacing,
    UnsupportedImage,
)
from node.errors.operations import (
    AlreadyThere,
    AlreadyWithdrawn,
    ForgedRequest,
    InvalidAccount,
    InvalidAssessment,
    InvalidTransition,
    KitRefused,
    LibraryMissing,
    LoginRefused,
    NotAcceptable,
    NotFound,
    NotLoggedIn,
    OperationError,
    SearchTooWide,
    Superseded,
    TooManyAttempts,
    UnusableViewer,
)
from node.errors.receive import (
    DataSetMismatch,
    IncompleteDataSet,
    InvalidUid,
    OutOfResources,
    ReceiveError,
    RetrievalRefused,
    TooManyInstances,
    UndecodableDataSet,
    UnknownMoveDestination,
    UnusableKey,
)
from node.errors.results import ResultError, ResultVerificationFailed
from node.errors.root import AinodeError, ConfigurationError
from node.errors.store import ObjectMissing, StoreError, StoreUnavailable
from node.errors.workitems import (
    ClaimLost,
    DuplicateWorkitem,
    FinalStateIncomplete,
    InvalidAttributeValue,
    InvalidWorkitemUid,
    MissingAttribute,
    MissingAttributeValue,
    NoSuchAction,
    NoSuchWorkitem,
    NotSchedulable,
    PerformerUnreachable,
    TooManyWorkitems,
    UnknownReceiver,
    UnsuitableAction,
    WorkitemCompleted,
    WorkitemError,
    WorkitemFinal,
    WorkitemNotInProgress,
    WorkitemNotScheduled,
    WrongTransaction,
)

__all__ = [
    "AccessRefused",
    "AinodeError",
    "AlreadyThere",
    "AlreadyWithdrawn",
    "AssociationRejected",
    "BurnedInAnnotation",
    "ClaimLost",
    "ColourNotSupported",
    "CommitmentFailed",
    "ConfigurationError",
    "ConstantImage",
    "DataSetMismatch",
    "DeliveryError",
    "DestinationBusy",
    "DestinationFull",
    "DestinationUnreachable",
    "DeviceOutOfMemory",
    "DuplicateSlices",
    "DuplicateWorkitem",
    "EmptySlices",
    "FinalStateIncomplete",
    "ForgedRequest",
    "GantryTilt",
    "GeometryError",
    "ImplausibleIntensity",
    "IncompleteDataSet",
    "IncompleteOrgan",
    "InferenceError",
    "InferenceTimeout",
    "InputError",
    "InvalidAccount",
    "InvalidAssessment",
    "InvalidAttributeValue",
    "InvalidModelOutput",
    "InvalidModelPackage",
    "InvalidTransition",
    "InvalidUid",
    "InvalidWorkitemUid",
    "JobCanceled",
    "KitRefused",
    "LibraryMissing",
    "LoginRefused",
    "MessageRefused",
    "MissingAttribute",
    "MissingAttributeValue",
    "MissingSlices",
    "MixedImages",
    "MixedOrientation",
    "ModelError",
    "NoPixelData",
    "NoSuchAction",
    "NoSuchWorkitem",
    "NotAcceptable",
    "NotFound",
    "NotLoggedIn",
    "NotSchedulable",
    "ObjectMissing",
    "ObjectTooLarge",
    "OperationError",
    "OrientationNotSupported",
    "OutOfDistribution",
    "OutOfResources",
    "OutcomeNotChosen",
    "PatientMismatch",
    "PerformerUnreachable",
    "PictureSizeOutsideLimits",
    "QueryRefused",
    "ReadBackFailed",
    "ReceiveError",
    "ResultError",
    "ResultVerificationFailed",
    "RetrievalFailed",
    "RetrievalRefused",
    "SaturatedImage",
    "SearchTooWide",
    "SeveralAcquisitions",
    "SopClassRefused",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "Superseded",
    "TooManyAttempts",
    "TooManyInstances",
    "TooManyWorkitems",
    "TruncatedFieldOfView",
    "UndecodableDataSet",
    "UndecodablePixelData",
    "UnevenSpacing",
    "UnexpectedAnswer",
    "UnknownMoveDestination",
    "UnknownReceiver",
    "UnsuitableAction",
    "UnsupportedImage",
    "UnusableKey",
    "UnusableViewer",
    "WeightsDigestMismatch",
    "WorkerLost",
    "WorkitemCompleted",
    "WorkitemError",
    "WorkitemFinal",
    "WorkitemNotInProgress",
    "WorkitemNotScheduled",
    "WrongTransaction",
]
