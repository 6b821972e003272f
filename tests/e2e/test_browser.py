"""What a radiologist does, in Debian's chromium, with a whole node and Orthanc as the PACS.

Screenshots of every page lie in the test's folder (``pytest --basetemp``), to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from node import config as configuration
from node.app.logins import logins
from node.app.records import open_records
from node.demo.studies import STUDIES, DemoStudy, instances
from tests.e2e.chromium import DESK, PATIENCE_S, PHONE, axe, chromium, opened, overflow, pixels, violations
from tests.e2e.pacs import Pacs, storescu
from tests.e2e.site import Site
from tests.waiting import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

USER, PASSWORD = "reader", "a long enough pass phrase"
MODEL = "hippocampus_mr"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
HIPPOCAMPUS, WITH_GAP, CHEST = STUDIES
BEFORE = replace(HIPPOCAMPUS, name="hippocampus-before", accession_number="BEFORE")
LATER = replace(CHEST, name="chest-later", accession_number="LATER")
LAST = replace(CHEST, name="chest-last", accession_number="LAST")

# Many processes on a busy machine.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def site(pacs: Pacs, folder: Path) -> Iterator[Site]:
    started = pacs.site(folder, extra=f'[models]\nenabled = ["{MODEL}"]\n[work]\ndevice = "cpu"\n')
    try:
        started.start(roles=())
        records = open_records(configuration.load(started.config, started.environment))
        logins(records, "test").add(USER, PASSWORD)
        records.close()
        yield started
    finally:
        started.kill()


@pytest.fixture(scope="module")
def url(site: Site) -> str:
    return f"http://127.0.0.1:{site.web_port}"


def send(site: Site, folder: Path, study: DemoStudy, **attributes: str) -> str:
    """Its UID."""
    images = folder / study.name
    images.mkdir(parents=True)
    for image in instances(study, 1):
        for keyword, value in attributes.items():
            setattr(image, keyword, value)
        image.save_as(images / f"{image.InstanceNumber}.dcm", enforce_file_format=True)
    storescu(site, images)
    return study.study_instance_uid


def log_in(page: Page) -> None:
    page.goto("/login")
    page.fill("[name=name]", USER)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.locator(".user", has_text=USER).wait_for()


def row(uid: str) -> str:
    return f'tr[data-uid="{uid}"]'


def accessions(page: Page) -> Sequence[str]:
    return [text.strip() for text in page.locator("tr[data-uid] td.accession").all_inner_texts()]


def test_the_empty_list_says_how_to_begin_and_fills_itself(
    browser: Browser, site: Site, url: str, tmp_path: Path
) -> None:
    """Nobody reloads the page: rows come by server-sent events, and the one under the pointer stays where it is."""
    with opened(browser, url, color_scheme="dark") as page:
        page.goto("/")
        told = page.locator("[data-empty]").inner_text()
        assert all(one in told for one in ("AINODE", "127.0.0.1", str(site.port), "storescu"))
        page.screenshot(path=tmp_path / "empty.png")
        page.evaluate("window.sameDocument = true")
        send(site, tmp_path, CHEST)
        chest = page.locator(row(CHEST.study_instance_uid))
        chest.wait_for()
        assert page.locator("[data-empty]").count() == 0
        chest.locator("td.study").hover()
        place = chest.bounding_box()
        send(site, tmp_path, LATER)
        news = page.locator("[data-news] button")
        news.wait_for()
        assert page.locator(row(LATER.study_instance_uid)).count() == 0, "nothing comes in under the pointer"
        assert chest.bounding_box() == place
        news.click()
        page.locator(row(LATER.study_instance_uid)).wait_for()
        page.mouse.move(5, 5)
        send(site, tmp_path, LAST)
        page.locator(row(LAST.study_instance_uid)).wait_for()
        assert page.evaluate("window.sameDocument") is True, "it is still the same page"
        page.screenshot(path=tmp_path / "filled.png")


def test_from_the_arrival_to_the_rejection_in_the_pacs(
    browser: Browser, site: Site, pacs: Pacs, url: str, tmp_path: Path
) -> None:
    with opened(browser, url, color_scheme="dark") as page:
        log_in(page)
        page.goto("/?modality=MR")
        send(site, tmp_path, BEFORE, StudyDate="20250610")
        uid = send(site, tmp_path, HIPPOCAMPUS)
        found = page.locator(f"{row(uid)} .chip.positive")
        found.wait_for()
        page.screenshot(path=tmp_path / "positive.png")
        wait_for(lambda: held(pacs, uid, "SEG", "SR"), "results are in the PACS", PATIENCE_S)
        page.locator(f"{row(uid)} td.patient a").click()
        see_contours(page, tmp_path)
        page.press("body", "r")
        page.keyboard.type("the wrong structure")
        page.screenshot(path=tmp_path / "rejecting.png")
        page.keyboard.press("Enter")
        page.get_by_text(f"Rejected by {USER}").wait_for()
        assert "the wrong structure" in page.locator(".assessed").inner_text()
        wait_for(lambda: held(pacs, uid, "KO"), "the rejection is in the PACS, once it cannot be undone", PATIENCE_S)
        (note,) = [one for one in pacs.instances(uid) if one.SOPClassUID == KEY_OBJECTS]
        assert note.ConceptNameCodeSequence[0].CodeValue == "113001", "rejected for quality reasons"
        rejected = {one.SOPInstanceUID for one in pacs.instances(uid) if one.Modality in ("SEG", "SR")}
        named = {str(item.value) for item in note.iterall() if item.keyword == "ReferencedSOPInstanceUID"}
        assert named & rejected


def held(pacs: Pacs, uid: str, *modalities: str) -> bool:
    """Whether Orthanc says that it has them."""
    asked = {"Level": "Series", "Expand": True, "Query": {"StudyInstanceUID": uid}}
    return set(modalities) <= {one["MainDicomTags"]["Modality"] for one in pacs.orthanc.post("/tools/find", asked)}


def see_contours(page: Page, tmp_path: Path) -> None:
    """The overlay changes what is seen of the image, in its own colours, and is gone without it."""
    stage = page.locator("[data-stage]")
    page.locator("[data-overlay-image]:not([hidden])").wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-stage] img:not([hidden])')].every(i => i.complete)"
    )
    page.screenshot(path=tmp_path / "study.png", full_page=True)
    with_contours = pixels(stage)
    page.press("body", "o")
    page.locator("[data-overlay-image]").wait_for(state="hidden")
    without = pixels(stage)
    colourful = np.ptp(with_contours, axis=2) > 60
    drawn = (np.abs(with_contours - without).max(axis=2) > 40) & colourful
    assert drawn.sum() > 300, "contours are seen"
    rows, columns = np.nonzero(drawn)
    assert (np.ptp(rows) > 60, np.ptp(columns) > 60) == (True, True), "around a structure"
    page.press("body", "o")
    page.locator("[data-overlay-image]:not([hidden])").wait_for()
    np.testing.assert_array_equal(pixels(stage), with_contours)
    page.locator("[data-place]", has_text="14 / 36").wait_for()
    page.press("body", "ArrowDown")
    page.locator("[data-place]", has_text="15 / 36").wait_for()
    assert not np.array_equal(pixels(stage), with_contours), "another slice"
    page.press("body", "p")
    page.get_by_text("Prior of 2025-06-10").wait_for()
    page.wait_for_function("() => document.querySelector('[data-prior-image]').naturalWidth > 0")
    page.screenshot(path=tmp_path / "prior.png", full_page=True)
    page.press("body", "p")


def test_keys_of_the_list(browser: Browser, url: str, tmp_path: Path) -> None:
    with opened(browser, url, color_scheme="light") as page:
        page.goto("/?modality=MR")
        answered = page.locator("[data-said]")
        page.keyboard.press("a")
        answered.get_by_text("Choose a study first").wait_for()
        page.keyboard.press("j")
        page.keyboard.press("a")
        answered.get_by_text("Log in").wait_for()
        log_in(page)
        page.goto("/?modality=MR&sort=age")
        chosen = page.locator("tr[aria-selected]")
        at = accessions(page).index("BEFORE")
        for _ in range(at + 2):
            page.keyboard.press("j")
        assert accessions(page)[-1] == "BEFORE", "j stops at the last row"
        assert chosen.locator("td.accession").inner_text() == "BEFORE"
        page.keyboard.press("a")
        answered.get_by_text(f"accepted: {MODEL}").wait_for()
        chosen.get_by_text("accepted").wait_for()
        page.screenshot(path=tmp_path / "accepted.png")
        answered.get_by_role("button").click()
        answered.get_by_text("Taken back").wait_for()
        chosen.get_by_text("not yet").wait_for()
        page.keyboard.press("r")
        dialog = page.locator("dialog[data-answer]")
        dialog.wait_for()
        assert "BEFORE" in dialog.inner_text()
        page.keyboard.press("Enter")
        assert dialog.is_visible(), "a rejection has a reason"
        page.keyboard.type("motion")
        page.screenshot(path=tmp_path / "reason.png")
        page.keyboard.press("Enter")
        answered.get_by_text(f"rejected: {MODEL}").wait_for()
        chosen.get_by_text("rejected").wait_for()
        page.keyboard.press("?")
        page.get_by_role("heading", name="Keys").wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("k")
        assert chosen.locator("td.accession").inner_text() == HIPPOCAMPUS.accession_number
        page.keyboard.press("/")
        page.keyboard.type("BEFORE")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=BEFORE**")
        assert accessions(page) == ["BEFORE"]
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/studies/{BEFORE.study_instance_uid}**")


PATHS = {
    "list": "/",
    "study": f"/studies/{HIPPOCAMPUS.study_instance_uid}",
    "gap": f"/studies/{WITH_GAP.study_instance_uid}",
    "queue": "/queue",
    "system": "/system",
    "login": "/login",
}
WORDS = {
    "en": {"list": "NOT WANTED", "study": "Anterior hippocampus", "gap": "Why not analysed"},
    "zh-CN": {"list": "不适用", "study": "海马前部", "gap": "序列缺少层面"},
}


@pytest.fixture(scope="module")
def gap(site: Site, folder: Path) -> str:
    uid = send(site, folder, WITH_GAP)
    assert site.run("wait", uid, "--timeout", "200").returncode == 0
    return uid


@pytest.mark.parametrize(
    ("theme", "size", "language"),
    [("dark", DESK, "en"), ("light", DESK, "zh-CN"), ("light", PHONE, "en"), ("dark", PHONE, "zh-CN")],
)
@pytest.mark.usefixtures("gap")
def test_every_page_fits_and_hinders_nobody(
    browser: Browser, url: str, tmp_path: Path, theme: str, size: tuple[int, int], language: str
) -> None:
    source = axe()
    with opened(browser, url, color_scheme=theme, locale=language, size=size) as page:
        for name, path in PATHS.items():
            page.goto(path)
            page.locator("main").wait_for()
            told = page.locator("main").inner_text()
            assert WORDS[language].get(name, "") in told
            page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
            assert overflow(page) <= 0, f"{name} is wider than the window"
            dark = page.evaluate("getComputedStyle(document.documentElement).colorScheme")
            assert dark == theme
            # Names and contrast; what they say is another language's matter.
            assert language != "en" or violations(page, source) == [], name


def test_a_barrier_is_seen(browser: Browser, url: str) -> None:
    """What looks for barriers finds one that was made."""
    with opened(browser, url) as page:
        page.goto("/login")
        page.evaluate(
            "document.querySelector('[name=password]').closest('label').replaceWith(document.querySelector('[name=password]'))"
        )
        assert any("label" in one for one in violations(page, axe()))


def test_without_a_script_the_pages_tell_the_same(browser: Browser, url: str, tmp_path: Path) -> None:
    with opened(browser, url, java_script_enabled=False) as page:
        page.goto("/?modality=MR&sort=age")
        assert "BEFORE" in accessions(page)
        page.locator(f"{row(HIPPOCAMPUS.study_instance_uid)} td.patient a").click()
        page.locator("[data-overlay-image]:not([hidden])").wait_for()
        page.get_by_role("link", name="Next slice").click()
        page.get_by_text("Slice 15 of 36").wait_for()
        page.uncheck("[data-overlay]")
        page.get_by_role("button", name="Show").click()
        page.locator("[data-overlay-image]").wait_for(state="hidden")
        page.screenshot(path=tmp_path / "without.png", full_page=True)


def test_a_lost_connection_is_said_and_comes_back(browser: Browser, url: str, tmp_path: Path) -> None:
    # What its console says of the network that is away is no error of the page.
    with opened(browser, url, may_say="ERR_INTERNET_DISCONNECTED") as page:
        page.goto("/")
        lost = page.locator("[data-lost]")
        page.wait_for_function("() => performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
        assert lost.is_hidden()
        page.context.set_offline(True)
        lost.wait_for()
        page.screenshot(path=tmp_path / "lost.png")
        page.context.set_offline(False)
        lost.wait_for(state="hidden")
