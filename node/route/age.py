"""How old a patient was when an image was made, as far as its header says. Pure; nothing raises on header content."""

from __future__ import annotations

import re
from datetime import date

from node.domain.study import Instance

AGE = re.compile(r"(\d{3})([DWMY])", re.ASCII)  # VR AS, PS3.5 Table 6.2-1
DAYS_OF_UNIT = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
DAYS_OF_YEAR = 365.25
DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})", re.ASCII)  # VR DA, and the form of ACR-NEMA with dots
# When the image was made: the date of the study, else the nearest that is there.
DATES = ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate")


def age_years(instance: Instance) -> int | None:
    """Completed years: Patient's Age (0010,1010), else from the birth date to the date of the study; None if unknown.

    Months, weeks and days count as far as they make whole years. A birth after the study is no age.
    """
    stated = _stated(instance.text("PatientAge"))
    return _between_dates(instance) if stated is None else stated


def _stated(text: str) -> int | None:
    match = AGE.fullmatch(text.strip().upper())
    if match is None:
        return None
    number, unit = match.groups()
    # 012M is a year, though twelve average months are a rounding error short of one.
    return int(int(number) * DAYS_OF_UNIT[unit] / DAYS_OF_YEAR + 1e-9)


def _between_dates(instance: Instance) -> int | None:
    born = _date(instance.text("PatientBirthDate"))
    made = next((day for keyword in DATES if (day := _date(instance.text(keyword))) is not None), None)
    if born is None or made is None or made < born:
        return None
    return made.year - born.year - ((made.month, made.day) < (born.month, born.day))


def _date(text: str) -> date | None:
    match = DATE.fullmatch(text.strip())
    if match is None:
        return None
    try:
        return date(*(int(part) for part in match.groups()))
    except ValueError:
        return None
