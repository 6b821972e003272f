"""Which codes a model may use: of the standard's own terminology only those that it has."""

from __future__ import annotations

from functools import lru_cache

from pydicom.sr.codedict import codes

from node.domain.result import CodedConcept
from node.errors import InvalidModelOutput

# PS3.16 annex D, which pydicom has. Of other schemes (SCT, LN, UCUM ...) it has what templates name: not judged here.
DICOM = "DCM"


def require_known(concept: CodedConcept, field: str) -> None:
    """``concept`` fits into its attributes already (``domain.texts.require_concept``).

    Raises:
        InvalidModelOutput: ``details['field']`` is ``<field>.value``: a reader would look the code up in vain.
    """
    if concept.scheme == DICOM and concept.value not in _dicom_codes():
        problem = f"{concept.value!r} is no code of PS3.16 annex D"
        raise InvalidModelOutput(f"{field}.value: {problem}", field=f"{field}.value")


@lru_cache(maxsize=1)
def _dicom_codes() -> frozenset[str]:
    return frozenset(code.value for code in codes.DCM.concepts.values())
