"""The page of a study and its images, as a browser asks for them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from PIL import Image

from node.app.assessing import assessment_writer
from node.app.logins import logins
from node.app.web import site
from node.domain.assessment import AssessmentState
from node.show.application import make_web
from node.show.study_page.router import viewer_link
from tests.browsing import Browser
from tests.seeded import COLUMNS, ROWS, SERIES, SLICES, STUDY, Seeded, seeded

PAGE = f"/studies/{STUDY}"
SLICE = f"/api/v1/studies/{STUDY}/series/{SERIES}/slices"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    web = '[web]\nviewer_url = "https://viewer.example/?uid={study_instance_uid}&acc={accession_number}"'
    with seeded(tmp_path_factory.mktemp("node"), web) as made:
        logins(made.records, "test").add("reader", PASSWORD)
        yield made


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    """A node whose memory a test may change."""
    with seeded(tmp_path_factory.mktemp("other")) as made:
        logins(made.records, "test").add("reader", PASSWORD)
        yield made


@pytest.fixture(scope="module")
def client(node: Seeded) -> Browser:
    """Nobody is logged in."""
    return Browser(make_web(site(node.records)).application)


@pytest.fixture(scope="module")
def reader(node: Seeded) -> Browser:
    made = Browser(make_web(site(node.records)).application)
    made.post("/login", data={"name": "reader", "password": PASSWORD, "next": PAGE})
    return made


def overlay(node: Seeded, index: int) -> str:
    return f"/api/v1/studies/{STUDY}/jobs/{node.job}/series/{SERIES}/slices/{index}.svg"


def csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


# ---------------------------------------------------------------- images


def test_a_slice_is_a_picture_of_its_image(client: Browser) -> None:
    found = client.get(f"{SLICE}/2.png", params={"window": "full"})
    assert (found.status_code, found.headers["content-type"]) == (200, "image/png")
    made = np.asarray(Image.open(io.BytesIO(found.content)))
    assert made.shape == (ROWS, COLUMNS)
    assert (made[0, 0], made[-1, -1]) == (0, 255)
    assert found.headers["cache-control"].startswith("private")


def test_a_slice_that_the_browser_has_is_not_sent_again(client: Browser) -> None:
    first = client.get(f"{SLICE}/2.png")
    again = client.get(f"{SLICE}/2.png", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(f"{SLICE}/2.png", params={"window": "300,400"}, headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200
    assert other.headers["etag"] != first.headers["etag"]
    assert client.get(f"{SLICE}/3.png").headers["etag"] != first.headers["etag"]


def test_contours_cover_the_mask_of_their_slice(client: Browser, node: Seeded) -> None:
    found = client.get(overlay(node, 2))
    assert found.headers["content-type"].startswith("image/svg+xml")
    path = re.search(r' d="([^"]*)"', found.text)
    assert path is not None
    inside = np.zeros((ROWS, COLUMNS), np.bool_)
    for part in re.findall(r"M([^Z]+)Z", path[1]):
        points = np.array([[float(v) for v in pair.split()] for pair in part.split("L")])
        rows, columns = np.indices((ROWS, COLUMNS)) + 0.5
        inside ^= _within(points, columns, rows)
    np.testing.assert_array_equal(inside, node.label_map[2] == 1)
    assert client.get(overlay(node, 0)).text.count("<path") == 0, "nothing was found there"
    again = client.get(overlay(node, 2), headers={"If-None-Match": found.headers["etag"]})
    assert again.status_code == 304


def _within(points: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """By the number of edges that a ray to the right crosses."""
    inside = np.zeros(x.shape, np.bool_)
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


def test_marks_say_where_each_finding_is_seen_best(client: Browser, node: Seeded) -> None:
    found = client.get(f"/api/v1/studies/{STUDY}/jobs/{node.job}/marks").json()
    assert [(one["number"], one["slice"]) for one in found] == [(1, 2), (2, 4), (3, 5)]
    assert {one["series_instance_uid"] for one in found} == {SERIES}


def test_the_heat_map_lies_on_its_slice_alone(client: Browser, node: Seeded) -> None:
    view = client.get(f"/api/v1/studies/{STUDY}/series/{SERIES}/view", params={"job": node.job}).json()
    assert (view["slices"], view["modality"], view["heat"]) == (SLICES, "MR", [2])
    base = f"/api/v1/studies/{STUDY}/jobs/{node.job}/series/{SERIES}/slices"
    made = np.asarray(Image.open(io.BytesIO(client.get(f"{base}/2/heat.png").content)))
    assert (made[..., 3] > 0).sum() == 100
    assert made[10, 25].tolist() == [255, 255, 0, 255]
    assert client.get(f"{base}/3/heat.png").status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{SLICE}/{SLICES}.png", 404),
        (f"{SLICE}/-1.png", 422),
        (f"{SLICE}/1.png?window=1,0", 422),
        (f"{SLICE}/1.png?window=<script>", 422),
        (f"{SLICE}/1.png?window=1e9999,1", 422),
        (f"{SLICE}/1.png?edge=100000", 422),
        (f"/api/v1/studies/{STUDY}/series/9.9/slices/0.png", 404),
        (f"/api/v1/studies/not-a-uid/series/{SERIES}/slices/0.png", 400),
        (f"/api/v1/studies/9.9/series/{SERIES}/slices/0.png", 404),
        (f"/api/v1/studies/{STUDY}/jobs/77/series/{SERIES}/slices/0.svg", 404),
        (f"/api/v1/studies/9.9/jobs/1/series/{SERIES}/slices/0.svg", 404),
        (f"/api/v1/studies/{STUDY}/jobs/1/series/9.9/slices/0.svg", 404),
        (f"/api/v1/studies/{STUDY}/jobs/99999999999999999999/marks", 422),
    ],
)
def test_bad_input_has_a_named_error(client: Browser, path: str, status: int) -> None:
    found = client.get(path)
    assert found.status_code == status, found.text
    assert found.json()["code"]


# ---------------------------------------------------------------- the page


def test_the_page_tells_everything_without_a_script(client: Browser, node: Seeded) -> None:
    page = client.get(PAGE).text
    for words in ("Doe, Jane", "POSITIVE", "unverified", "Anterior hippocampus", "1.5", "very likely (97 %)",
                  "less likely than not (30 %)", "From the first image to the PACS", "Analysis finished",
                  "Models that do not apply (1)", "organ_ct", "AI result, not verified"):  # fmt: skip
        assert words in page, words
    assert f'src="{SLICE}/2.png' in page, "the slice that shows most of the first finding"
    assert f'src="{overlay(node, 2)}"' in page
    assert f"series={SERIES}&amp;slice=5" in page, "a finding leads to its slice"
    assert "https://viewer.example/?uid=1.2.3&amp;acc=A1" in page
    assert 'style="' not in page, "the policy of the pages allows none"


def test_the_address_chooses_slice_window_and_layers(client: Browser) -> None:
    page = client.get(PAGE, params={"slice": 5, "window": "auto", "overlay": 0}).text
    assert f'src="{SLICE}/4.png?window=auto"' in page
    assert "slices/4.svg" not in page.split("keyslices")[0]
    assert client.get(PAGE, params={"slice": 999}).text.count(f"{SLICE}/5.png") >= 1, "the last there is"
    assert client.get(PAGE, params={"heat": 1, "slice": 3}).text.count("2/heat.png") == 1


def test_the_page_in_chinese(client: Browser) -> None:
    page = client.get(PAGE, params={"lang": "zh"}).text
    client.get(PAGE, params={"lang": "en"})
    for words in ("阳性", "未经审核", "所见", "极有可能（97 %）", "从首幅图像到 PACS", "不适用的模型（1）"):
        assert words in page, words


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/studies/9.9.9", 404), ("/studies/no-uid", 400), (f"{PAGE}?slice=0", 422), (f"{PAGE}?window=x", 422),
        (f"{PAGE}?job=77&series=9.9", 200), (f"{PAGE}?lang=xx", 200),
    ],
)  # fmt: skip
def test_addresses_that_nobody_wrote(client: Browser, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_a_viewers_address_holds_nothing_but_values() -> None:
    study = {"study_instance_uid": "1.2", "accession_number": "a b&x=<{", "patient": {"id": None}}
    template = "/viewer?s={study_instance_uid}&a={accession_number}&p={patient_id}"
    assert viewer_link(template, study) == "/viewer?s=1.2&a=a%20b%26x%3D%3C%7B&p="
    assert viewer_link("", study) is None


# ---------------------------------------------------------------- assessment


def test_nobody_assesses_without_a_name(client: Browser, node: Seeded) -> None:
    assert "Log in to accept" in client.get(PAGE).text
    found = client.post(f"{PAGE}/assess", data={"decision": "accept", "job": node.job})
    assert (found.url.path, found.status_code) == ("/login", 200) or found.status_code in (401, 403)
    api = f"/api/v1/studies/{STUDY}/jobs/{node.job}/assessments"
    assert client.post(api, json={"decision": "ACCEPT"}).status_code in (401, 403)
    assert node.records.assessments.of_study(STUDY) == []


def test_a_form_without_its_token_is_refused(reader: Browser, node: Seeded) -> None:
    assert reader.post(f"{PAGE}/assess", data={"decision": "accept", "job": node.job}).status_code == 403


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"decision": "reject"}, 422),
        ({"decision": "praise"}, 422),
        ({"decision": "correct"}, 422),
        ({"decision": "correct", "value.0.0": "many", "was.value.0.0": "1.5"}, 422),
        ({"decision": "correct", "value.9.0": "2", "was.value.9.0": "1"}, 422),
        ({"decision": "accept", "job": "x"}, 422),
        ({"decision": "accept", "job": "77"}, 404),
        ({"decision": "undo", "assessment": "77"}, 404),
        ({"decision": "accept", "reason": "x" * 300}, 422),
    ],
)
def test_forms_that_do_not_fit(reader: Browser, node: Seeded, fields: dict[str, str], status: int) -> None:
    token = csrf(reader.get(PAGE).text)
    found = reader.post(f"{PAGE}/assess", data={"job": str(node.job), "csrf": token} | fields)
    assert found.status_code == status
    assert node.records.assessments.of_study(STUDY) == []


def test_a_result_is_accepted_undone_and_corrected(other: Seeded) -> None:
    client = Browser(make_web(site(other.records)).application)
    page = client.post("/login", data={"name": "reader", "password": PASSWORD, "next": PAGE}).text
    token, form = csrf(page), {"job": str(other.job)}
    page = client.post(f"{PAGE}/assess", data=form | {"csrf": token, "decision": "accept"}).text
    assert "Accepted by reader" in page
    (said,) = other.records.assessments.of_study(STUDY)
    page = client.post(f"{PAGE}/assess", data={"csrf": token, "decision": "undo", "assessment": str(said.id)}).text
    assert "Accepted by reader" not in page
    given = {"value.0.0": "2.25", "was.value.0.0": "1.5", "value.1.0": "3", "was.value.1.0": "3", "reason": "rim"}
    page = client.post(f"{PAGE}/assess", data=form | given | {"csrf": token, "decision": "correct"}).text
    assert "Corrected by reader" in page
    assert '<s class="muted">1.5</s> <strong>2.25' in page
    *_, said = client.get(f"/api/v1/studies/{STUDY}/assessments").json()["assessments"]
    assert said["corrected_values"] == [{"finding": 0, "measurement": 0, "value": 2.25}]
    writer = assessment_writer(other.records)
    assert writer.run_once() == 0, "nothing is sent while it can be undone"
    other.clock.advance(11)
    assert writer.run_once() == 1
    *_, assessed = other.records.worklist.job(other.job)["objects"]
    with other.records.results.open(assessed["storage_key"]) as file:
        report = pydicom.dcmread(file)
    assert (assessed["kind"], report.VerificationFlag) == ("ASSESSMENT", "VERIFIED")
    states = [one.state for one in other.records.assessments.of_study(STUDY)]
    assert states == [AssessmentState.UNDONE, AssessmentState.WRITTEN]
    assert "Corrected by reader" in client.get(PAGE).text


def test_a_rejected_result_is_withdrawn(other: Seeded) -> None:
    client = Browser(make_web(site(other.records)).application)
    page = client.post("/login", data={"name": "reader", "password": PASSWORD, "next": PAGE}).text
    fields = {"csrf": csrf(page), "job": str(other.job), "decision": "reject", "reason": "a vessel", "title": "safety"}
    assert "Rejected by reader" in client.post(f"{PAGE}/assess", data=fields).text
    other.clock.advance(11)
    assert assessment_writer(other.records).run_once() == 1
    job = other.records.worklist.job(other.job)
    assert (job["withdrawn_by"], job["withdrawn_reason"], job["document"]) == ("reader", "a vessel", "DUE")
    assert "This result was withdrawn" in client.get(PAGE).text
    (told,) = client.get("/api/v1/agreement").json()["agreement"]
    assert (told["rejected"], told["scanner"]) == (1, "Scanner works / Model 7 / MR1")
    assert (told["positive_predictive_value"]["value"], told["positive_predictive_value"]["assessed"]) == (0.0, 1)
    assert "0 of 1" in client.get("/agreement").text


def test_agreement_is_told(client: Browser) -> None:
    assert client.get("/api/v1/agreement").json() == {"agreement": []}
    assert "Nobody has assessed" in client.get("/agreement").text


def test_an_image_that_is_gone_has_a_named_error(other: Seeded) -> None:
    client = Browser(make_web(site(other.records)).application)
    for stored in other.records.catalogue.instances(STUDY, [SERIES]):
        other.records.files.delete(stored.storage_key)
    found = client.get(f"{SLICE}/0.png")
    assert (found.status_code, found.json()["code"]) == (404, "ObjectMissing")
    assert client.get(PAGE).status_code == 200, "the findings are told all the same"
