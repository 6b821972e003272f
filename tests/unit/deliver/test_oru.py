"""Messages as python-hl7 reads them: who, what, how urgent; nothing evaluated never looks like a negative."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import hl7
import pytest

from node.deliver.oru import Parties, acknowledgment, control_id, encode, escape, message, number, person_name
from node.domain.document import ResultKind
from node.domain.report import PatientWords, Report
from node.domain.result import Outcome, Reason
from tests.fakes.reports import report

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
PARTIES = Parties("AINODE", "Radiology", "RIS", "Hospital")
NASTY = "a|b^c&d~e\\f\r\nMSH|^~\\&|EVIL"


def read(told: Report, charset: str = "UNICODE UTF-8") -> Any:
    return hl7.parse(message(told, PARTIES, charset, AT))


def observations(parsed: Any) -> list[Any]:
    return list(parsed.segments("OBX"))


def concepts(parsed: Any) -> list[str]:
    return [str(one[3]) for one in observations(parsed)]


def test_header_patient_and_order() -> None:
    parsed = read(report())
    msh, pid, obr = parsed.segment("MSH"), parsed.segment("PID"), parsed.segment("OBR")
    assert [str(msh[field]) for field in (3, 4, 5, 6, 7)] == [
        "AINODE",
        "Radiology",
        "RIS",
        "Hospital",
        "20300102030405+0000",
    ]
    assert (str(msh[9]), str(msh[11]), str(msh[12]), str(msh[18])) == ("ORU^R01^ORU_R01", "P", "2.5.1", "UNICODE UTF-8")
    assert str(msh[10]) == control_id(report())
    assert len(str(msh[10])) == 20
    assert [str(pid[field]) for field in (3, 5, 7, 8)] == ["4711^^^Hospital", "Doe^Jane", "19700101", "F"]
    assert str(obr[2]) == "P7"
    assert str(obr[4]) == "25045-6^CT unspecified body region^LN"
    assert (str(obr[7]), str(obr[18]), str(obr[22]), str(obr[25])) == (
        "20260303101500+0100", "A1", "20260303102000+0100", "P",
    )  # fmt: skip
    assert "not verified" in str(parsed.segment("NTE")[3])


def test_one_observation_for_each_finding_and_measurement() -> None:
    parsed = read(report())
    of_first = [one for one in observations(parsed) if str(one[4]) == "1"]
    assert [(str(one[2]), str(one[3]), str(one[5]), str(one[6])) for one in of_first] == [
        ("CWE", "5366008^Hippocampus^SCT", "52101004^Present^SCT", ""),
        ("NM", "^Probability", "0.875", "1^no units^UCUM"),
        ("ST", "363698007^Finding Site^SCT", "Left \\T\\ right", ""),
        ("CWE", "111037^Margins^DCM", "129738007^Spiculated^SCT", ""),
        ("NM", "118565006^Volume^SCT", "3.25", "mL^milliliter^UCUM"),
        ("NM", "118565006^Volume^SCT", "0.0000001", "mL^milliliter^UCUM"),
    ]
    assert str(of_first[0][9]) == "0.875"
    (absent, _) = [one for one in observations(parsed) if str(one[4]) == "2"]
    assert str(absent[5]) == "2667000^Absent^SCT"
    assert {str(one[11]) for one in observations(parsed)} == {"P"}
    assert {str(one[18]) for one in observations(parsed)} == {"ainode hippocampus_mr 1.0.0^ainode project^2.25.1^ISO"}


def test_the_reports_uid_is_an_observation() -> None:
    parsed = read(report(uid="1.2.3.99", predecessors=("1.2.3.98",)))
    by_concept = {str(one[3]): str(one[5]) for one in observations(parsed)}
    assert by_concept["^SR Instance UID"] == "1.2.3.99"
    assert by_concept["^Study Instance UID"] == "1.2.3"
    assert by_concept["^Predecessor SR Instance UID"] == "1.2.3.98"
    assert str(parsed.segment("OBR")[3]) == "1.2.3.99^AINODE^1.2.3.99^ISO"


@pytest.mark.parametrize(
    ("outcome", "code", "status", "flag"),
    [
        (Outcome.POSITIVE, "111242", "P", "A"),
        (Outcome.NEGATIVE, "111241", "P", "N"),
        (Outcome.NOT_EVALUABLE, "111245", "X", ""),
        (Outcome.FAILED, "111245", "X", ""),
    ],
)
def test_every_outcome_is_a_message(outcome: Outcome, code: str, status: str, flag: str) -> None:
    reason = None if outcome in (Outcome.POSITIVE, Outcome.NEGATIVE) else Reason("MissingSlices", "slices are missing")
    parsed = read(report(outcome, reason=reason))
    (summary,) = [one for one in observations(parsed) if str(one[3]).startswith("111017^")]
    assert (str(summary[5][0][0]), str(summary[11])) == (code, status)
    assert (str(summary[8]) if len(summary) > 8 else "") == flag
    (words,) = [str(one[5]) for one in observations(parsed) if str(one[3]).startswith("121111^")]
    assert words == (outcome if reason is None else f"{outcome}: slices are missing (MissingSlices)")


def test_a_withdrawal_takes_the_report_back() -> None:
    reason = Reason("113001", "Rejected for Quality Reasons: movement")
    withdrawn = read(report(Outcome.WITHDRAWN, kind=ResultKind.REJECTION, reason=reason))
    assert str(withdrawn.segment("OBR")[25]) == "C"
    assert {str(one[11]) for one in observations(withdrawn)} == {"W"}
    assert not [one for one in concepts(withdrawn) if one.startswith("111017")]


def test_what_a_person_signed_is_final() -> None:
    signed = read(report(verified=True))
    assert str(signed.segment("OBR")[25]) == "F"
    assert "not verified" not in str(signed.segment("NTE"))


def test_no_text_can_break_the_message() -> None:
    patient = PatientWords(NASTY, NASTY, f"{NASTY.replace('^', '')}^x", "", "")
    parsed = read(report(patient=patient, summary=NASTY))
    assert [str(segment[0]) for segment in parsed][:4] == ["MSH", "PID", "OBR", "NTE"]
    assert len(list(parsed.segments("MSH"))) == 1
    (words,) = [str(one[5]) for one in observations(parsed) if str(one[3]).startswith("121111^")]
    assert parsed.unescape(words).replace("\r", "\n") == NASTY.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Doe^Jane", "Doe^Jane"),
        ("Doe^Jane^Mary^Dr^Jr", "Doe^Jane^Mary^Jr^Dr"),
        ("Wang^XiaoDong=王^小東", "Wang^XiaoDong~王^小東^^^^^^I"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou~山田^太郎^^^^^^I~やまだ^たろう^^^^^^P"),
        ("=王", "王^^^^^^^I"),
        ("O&Neil^A~B", "O\\T\\Neil^A\\R\\B"),
        ("", ""),
        ("a^b^c^d^e^f=g=h=i", "a^b^c^e^d~g^^^^^^^I~h^^^^^^^P"),
    ],
)
def test_names_in_the_order_of_hl7(name: str, written: str) -> None:
    assert person_name(name) == written


def test_what_a_charset_does_not_have_is_sent_in_utf_8_and_said_so() -> None:
    def sent(name: str, charset: str) -> bytes:
        return encode(report(patient=PatientWords("1", "", name, "", "")), PARTIES, charset, AT)

    assert "|8859/1\r" in sent("Müller^Jörg", "8859/1").decode("iso-8859-1")
    assert "Müller^Jörg" in sent("Müller^Jörg", "8859/1").decode("iso-8859-1")
    for charset in ("8859/1", "ASCII"):
        told = sent("王^小東", charset).decode("utf-8")
        assert "|UNICODE UTF-8\r" in told
        assert "王^小東" in told


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.0"), (1e-7, "0.0000001"), (1e22, "10000000000000000000000"), (-0.1, "-0.1"), (3, "3.0")],
)
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    assert number(value) == text


def test_control_characters_go() -> None:
    assert escape("a\x00b\x0bc\x1cd\x7fe\tf") == "abcde\tf"


def test_the_same_document_is_the_same_message() -> None:
    assert message(report(), PARTIES, "ASCII", AT) == message(report(), PARTIES, "ASCII", AT)
    assert control_id(report(uid="1.2")) != control_id(report(uid="1.3"))


@pytest.mark.parametrize(
    "answer", ["", "MSH", "MSH|^~\\&|x\r", "MSA|AA|1\r", "MSH|^~\\&|\rMSA\r", "MSH|^~\\&\rMSAX|AA|1\r"]
)
def test_what_is_no_acknowledgment(answer: str) -> None:
    with pytest.raises(ValueError, match="no "):
        acknowledgment(answer)


def test_an_acknowledgment_with_another_separator_and_line_feeds() -> None:
    assert acknowledgment("MSH$^~\\&$x\nMSA$AA$42$thanks\n") == ("AA", "42", "thanks")
