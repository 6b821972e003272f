"""``ainode store`` on a node that runs: its tables, its exit codes, and what it finds of real damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tests.integration.raw_scu import ASSOCIATE_AC, RawScu
from tests.integration.receiving import data_set_of
from tests.objects import data_set, part10
from tests.waiting import wait_for

COUNT = 3


@pytest.fixture(params=["journal", "files"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site", extra=f'[store]\nkind = "{request.param}"\n[models]\nenabled = ["none"]\n')
    try:
        site.start(roles=("receive", "timers"))
        yield site
    finally:
        site.kill()


def test_verify_and_status(site: Site) -> None:
    with RawScu(("127.0.0.1", site.port)) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        for number in range(COUNT):
            made = data_set(number=number)
            scu.store(made.SOPClassUID, made.SOPInstanceUID, data_set_of(part10(made)))
            assert scu.status() == 0
    wait_for(lambda: site.json("store", "verify")["rows"]["instances"] == COUNT, "the images have their rows")
    done = site.run("store", "verify", "--deep")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"instances: {COUNT} rows, {COUNT} objects" in done.stdout
    assert site.run("store", "status").returncode == 0
    document = site.json("store", "status")
    assert document["room"] is True
    assert document["images_kept_s"] == 7 * 86400
    assert sum(one["live"] for one in document.get("journal", {"segments": [{"live": COUNT}]})["segments"]) == COUNT

    overwrite_pixels(site, made.SOPInstanceUID)
    assert site.run("store", "verify", "--quick").returncode == 0
    done = site.run("store", "verify", "--deep", "--repair")
    assert done.returncode == 1
    assert "DAMAGED" in done.stdout
    (finding,) = site.json("store", "verify", "--deep")["findings"]
    assert (finding["problem"], finding["sop_instance_uid"]) == ("DAMAGED", made.SOPInstanceUID)


def overwrite_pixels(site: Site, sop_instance_uid: str) -> None:
    """As a rotten sector: in the last bytes of the instance, wherever they lie."""
    pixels = data_set(number=COUNT - 1).PixelData
    for path in (
        *(site.folder / "var" / "journal").rglob("*.seg"),
        *(site.folder / "var" / "instances").rglob("*.dcm"),
    ):
        content = path.read_bytes()
        at = content.find(sop_instance_uid.encode() + b"\0" * (len(sop_instance_uid) % 2))
        if at >= 0 and (begin := content.find(pixels, at)) >= 0:
            with path.open("r+b") as file:
                file.seek(begin)
                file.write(b"rotten")
            return
    raise AssertionError("the instance lies nowhere")
