"""Coded concepts that every result uses, and how ours become highdicom's."""

from __future__ import annotations

from highdicom.sr import CodedConcept as DicomConcept
from pydicom.sr.codedict import codes

from node.domain.result import CodedConcept, Outcome

# PS3.16 CID 6047 "CAD Processing and Findings Summary": what the run as a whole came to.
SUMMARY_OF_OUTCOME = {
    Outcome.POSITIVE: codes.DCM.AllAlgorithmsSucceededWithFindings,
    Outcome.NEGATIVE: codes.DCM.AllAlgorithmsSucceededWithoutFindings,
    Outcome.NOT_EVALUABLE: codes.DCM.NoAlgorithmsSucceededWithoutFindings,
    Outcome.FAILED: codes.DCM.NoAlgorithmsSucceededWithoutFindings,
}

# PS3.16 CID 100 "Quantitative Diagnostic Imaging Procedures": the procedure that was imaged, never the algorithm.
# Its code for X-rays is younger than the readers and validators in use: those are an imaging procedure.
PROCEDURE_OF_MODALITY = {
    "CT": codes.cid100.CTUnspecifiedBodyRegion,
    "MR": codes.cid100.MRIUnspecifiedBodyRegion,
    "PT": codes.cid100.PETUnspecifiedBodyRegion,
    "NM": codes.cid100.NMUnspecifiedBodyRegion,
}
ANY_PROCEDURE = codes.cid100.ImagingProcedure

# Some images of a series were evaluated, others were not.
SUMMARY_OF_A_PART = codes.DCM.NotAllAlgorithmsSucceededWithFindings

# Of a finding, with CID 240 "Present-Absent": what was looked for and not found is no finding.
PRESENCE = DicomConcept.from_code(codes.DCM.PresenceOfProperty)
PRESENT, ABSENT = DicomConcept.from_code(codes.SCT.Present), DicomConcept.from_code(codes.SCT.Absent)

# PS3.16 CID 7551: what an image or coordinates are to the measurements of a group (TID 1501 rows 10b to 10e).
SOURCE_OF_MEASUREMENT = DicomConcept.from_code(codes.DCM.SourceOfMeasurement)
ILLUSTRATION = DicomConcept.from_code(codes.DCM.IllustrationOfROI)  # TID 1410 row 9, TID 1411 row 13

QUALITATIVE_EVALUATIONS = DicomConcept("C0034375", "UMLS", "Qualitative Evaluations")  # TID 1500 row 12
FURTHER_FINDINGS = DicomConcept.from_code(codes.DCM.Findings)
LANGUAGE = DicomConcept("en-US", "RFC5646", "English (United States)")
PERCENT = DicomConcept("%", "UCUM", "Percent")


def procedure_reported(modality: str) -> DicomConcept:
    """The imaging procedure of CID 100 that a modality stands for."""
    return DicomConcept.from_code(PROCEDURE_OF_MODALITY.get(modality, ANY_PROCEDURE))


def dicom(concept: CodedConcept) -> DicomConcept:
    """Our concept as a highdicom one."""
    return DicomConcept(concept.value, concept.scheme, concept.meaning)
