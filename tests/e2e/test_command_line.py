"""The command line as a user meets it: exit codes, JSON on stdout and nothing else there, errors in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tests.peers import REPOSITORY, data_dir


def ainode(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AINODE_")}
    return subprocess.run(
        [sys.executable, "-m", "node", *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(REPOSITORY)} | environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site that was never started."""
    return Site(tmp_path_factory.mktemp("quiet"))


def test_every_configuration_error_at_once_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "ainode.toml").write_text(
        '[node]\nae_title = "A TITLE THAT IS FAR TOO LONG"\n[receive]\nport = 99999\nqiet_period_s = 1\n'
        '[[routes]]\ndestinations = ["nowhere"]\nwhen = [{ attribute = "NoSuchKeyword", op = "in", value = ["x"] }]\n'
    )
    done = ainode(tmp_path, "check")
    assert done.returncode == 78
    for key in ("node.ae_title", "receive.port", "receive.qiet_period_s"):
        assert key in done.stderr
    as_json = ainode(tmp_path, "check", "--json")
    assert as_json.returncode == 78
    document = json.loads(as_json.stdout)
    assert document["ok"] is False
    assert len(document["problems"]) >= 3


def test_the_doctor_lists_every_problem_of_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "ainode.toml").write_text('[node]\nae_title = "FAR TOO LONG AN AE TITLE"\n[receive]\nport = 99999\n')
    done = ainode(tmp_path, "doctor", "--json")
    assert done.returncode == 78
    document = json.loads(done.stdout)
    assert document["ok"] is False
    assert [one["found"].partition(":")[0] for one in document["checks"]] == ["node.ae_title", "receive.port"]
    assert not (tmp_path / "var").exists()
    assert "receive.port" in ainode(tmp_path, "doctor").stdout


def test_no_configuration_is_a_configuration_error(tmp_path: Path) -> None:
    done = ainode(tmp_path, "status", "--json")
    assert done.returncode == 78
    assert "ainode init" in done.stderr


def test_usage_errors_exit_with_2(tmp_path: Path) -> None:
    assert ainode(tmp_path, "queue", "show").returncode == 2
    assert ainode(tmp_path, "nonsense").returncode == 2
    assert ainode(tmp_path, "init", "site", "--pacs", "no-such-form").returncode == 2
    assert ainode(tmp_path, "init", "site", "--ae-title", "FAR TOO LONG AN AE TITLE").returncode == 2
    assert not (tmp_path / "site").exists()


def test_init_writes_a_site_that_checks_and_never_overwrites(tmp_path: Path) -> None:
    folder = tmp_path / "hospital"
    arguments = ("init", str(folder), "--ae-title", "AI1", "--port", "11119", "--pacs", "MAINPACS@10.1.2.3:104")
    assert ainode(tmp_path, *arguments).returncode == 0
    config = str(folder / "ainode.toml")
    shown = json.loads(ainode(tmp_path, "-c", config, "config", "show", "--json").stdout)
    assert shown["node"]["ae_title"] == "AI1"
    assert shown["receive"]["port"] == 11119
    assert shown["destinations"][0]["ae_title"] == "MAINPACS"
    assert ainode(tmp_path, "check", "--config", config).returncode == 0
    again = ainode(tmp_path, *arguments)
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert ainode(tmp_path, *arguments, "--force").returncode == 0


def test_environment_overrides_the_file(site: Site) -> None:
    done = ainode(site.folder, "config", "show", "--json", AINODE_RECEIVE__PORT="104")
    assert json.loads(done.stdout)["receive"]["port"] == 104


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("status",), "state"),
        (("queue", "list"), "jobs"),
        (("deliveries", "list"), "deliveries"),
        (("studies", "list"), "studies"),
        (("models", "list"), "models"),
        (("models", "show", "hippocampus_mr"), "intended_use"),
        (("config", "show"), "node"),
        (("config", "schema"), "properties"),
    ],
)
def test_reading_commands_print_one_json_document(site: Site, arguments: tuple[str, ...], key: str) -> None:
    assert key in site.json(*arguments)
    plain = site.run(*arguments)
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.strip()


def test_a_node_that_does_not_run_is_down(site: Site) -> None:
    document = site.json("status")
    assert document["state"] == "down"
    assert document["reasons"]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("queue", "show", "999"), 1, "NotFound"),
        (("queue", "cancel", "999"), 1, "NotFound"),
        (("deliveries", "retry", "999"), 1, "NotFound"),
        (("studies", "show", "1.2.3"), 1, "NotFound"),
        (("studies", "show", "../../etc"), 1, ""),
        (("why", "1.2.3"), 1, "NotFound"),
        (("wait", "1.2.3", "--timeout", "0.5"), 3, "no image"),
        (("wait", "not-a-uid", "--timeout", "0.5"), 1, "InvalidUid"),
        (("echo", "nobody"), 1, "NotFound"),
        (("models", "show", "nothing"), 1, "NotFound"),
    ],
)
def test_errors_are_named_and_exit_codes_kept(site: Site, arguments: tuple[str, ...], code: int, word: str) -> None:
    done = site.run(*arguments)
    assert done.returncode == code, done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_predict_needs_neither_network_nor_database(tmp_path: Path) -> None:
    folder = data_dir("hippocampus-dicom-study3")
    arguments = ("models", "predict", "hippocampus_mr", str(folder), "--json", "--out")
    done = ainode(tmp_path, *arguments, str(tmp_path / "a"))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["outcome"] == "POSITIVE"
    assert [finding["measurements"][0]["unit"] for finding in document["findings"]] == ["mL", "mL"]
    names = sorted(Path(path).name for path in document["objects"])
    assert len(names) == 2
    again = json.loads(ainode(tmp_path, *arguments, str(tmp_path / "b")).stdout)
    assert sorted(Path(path).name for path in again["objects"]) == names, "the same input gives the same UIDs"
    assert not (tmp_path / "var").exists()


def test_predict_on_what_the_model_does_not_want_is_not_evaluable(tmp_path: Path) -> None:
    folder = data_dir("brain-mr-glioma-study3")
    done = ainode(tmp_path, "models", "predict", "hippocampus_mr", str(folder), "--json", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["outcome"] == "NOT EVALUABLE"
    assert "field of view" in document["reason"].lower()
    assert document["objects"] == []


def test_models_check_runs_one_inference(tmp_path: Path) -> None:
    done = ainode(tmp_path, "models", "check", str(REPOSITORY / "models" / "hippocampus_mr"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"] is True
    broken = ainode(tmp_path, "models", "check", str(tmp_path), "--json")
    assert broken.returncode == 1
    (step,) = json.loads(broken.stdout)["steps"]
    assert (step["name"], step["ok"]) == ("model.toml", False)
