"""The configuration: defaults, paths, variables, secrets, and every problem at once under its key."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.config import Config, find, load, parse, schema, show
from node.errors import ConfigurationError

BASE = Path("/site")
PACS = {"name": "pacs", "ae_title": "ORTHANC", "host": "127.0.0.1", "port": 4242}


def problems_of(raw: dict[str, Any], environment: dict[str, str] | None = None, base: Path = BASE) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(raw, base, environment or {})
    return dict(caught.value.problems)


def problem(raw: dict[str, Any], environment: dict[str, str] | None = None) -> tuple[str, str]:
    found = problems_of(raw, environment)
    assert len(found) == 1, found
    return next(iter(found.items()))


# ------------------------------------------------------------------------------------------------ the file


def test_an_empty_file_is_a_whole_configuration() -> None:
    config = parse({}, BASE, {})
    assert config.node.ae_title == "AINODE"
    assert config.receive.port == 11112
    assert config.receive.quiet_period_s == 5.0
    assert config.work.timeout_s == 900.0
    assert config.web.host == "127.0.0.1"


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "secret").write_text("pw")
    raw = {
        "node": {"data_dir": "data"},
        "database": {"url": "sqlite:///data/a.db", "password_file": "secret"},
        "models": {"path": ["more"]},
    }
    config = parse(raw, tmp_path, {})
    assert config.node.data_dir == tmp_path / "data"
    assert config.database.url == f"sqlite:///{tmp_path}/data/a.db"
    assert config.database.password_file == tmp_path / "secret"
    assert config.models.path == (tmp_path / "more",)


def test_absolute_paths_stay() -> None:
    raw = {"node": {"data_dir": "/data"}, "database": {"url": "sqlite:////data/a.db"}}
    config = parse(raw, BASE, {})
    assert config.node.data_dir == Path("/data")
    assert config.database.url == "sqlite:////data/a.db"


def test_load_resolves_against_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    # A byte order mark, as editors on Windows write it.
    (tmp_path / "site" / "ainode.toml").write_bytes(b"\xef\xbb\xbf[receive]\nport = 104\n")
    monkeypatch.chdir(tmp_path)
    config = load(Path("site/ainode.toml"), {})
    assert config.receive.port == 104
    assert config.node.data_dir == tmp_path / "site" / "var"


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(Path("a.toml"), {"AINODE_CONFIG": "b.toml"}) == Path("a.toml")
    assert find(None, {"AINODE_CONFIG": "b.toml"}) == Path("b.toml")
    (tmp_path / "ainode.toml").touch()
    assert find(None, {}) == Path("ainode.toml")


@pytest.mark.parametrize("content", [b"[node", b"\xff\xfe", b"a = " + b"[" * 5000])
def test_a_file_that_is_not_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ainode.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        load(path, {})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load(tmp_path / "absent.toml", {})
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load(tmp_path, {})


def test_no_file_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("node.config.SEARCH_PATH", (Path("ainode.toml"),))
    with pytest.raises(ConfigurationError, match="ainode init"):
        load(None, {})


def test_without_a_route_everything_goes_to_every_destination() -> None:
    other = {**PACS, "name": "other"}
    assert parse({"destinations": [PACS, other]}, BASE, {}).routes[0].destinations == ("pacs", "other")
    assert parse({"destinations": [PACS], "routes": []}, BASE, {}).routes == ()


# ------------------------------------------------------------------------------------------------ problems


def test_every_problem_at_once_with_its_key_path() -> None:
    raw = {
        "node": {"ae_title": "A" * 17},
        "receive": {"port": 70000, "prot": 1, "quiet_period_s": 0, "allow": [{"host": "x"}]},
        "destinations": [{**PACS, "port": 0}, {**PACS, "ae_title": "back\\slash"}],
        "routes": [{"destinations": ["pasc"], "priority": "URGENT"}],
        "log": {"level": "LOUD"},
        "work": 5,
        "wrok": {},
    }
    assert problems_of(raw) == {
        "node.ae_title": "may have 16 characters at most",
        "receive.port": "must be at most 65535",
        "receive.prot": "unknown key; did you mean 'port'?",
        "receive.quiet_period_s": "must be greater than 0",
        "receive.allow[0].ae_title": "is missing",
        "destinations[0].port": "must be at least 1",
        "destinations[1].ae_title": "is no AE title: 1 to 16 characters without backslash and control characters",
        "destinations[1].name": "'pacs' is used twice",
        "routes[0].destinations[0]": "unknown destination 'pasc'; did you mean 'pacs'?",
        "routes[0].priority": "must be one of 'HIGH', 'MEDIUM' or 'LOW'",
        "log.level": "must be one of 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        "work": "must be a table",
        "wrok": "unknown key; did you mean 'work'?",
    }


@pytest.mark.parametrize("title", ["", "   ", "a\\b", "tab\there", "Ümlaut", "A" * 17])
def test_bad_ae_titles(title: str) -> None:
    assert problem({"node": {"ae_title": title}})[0] == "node.ae_title"


def test_spaces_around_an_ae_title_are_not_significant() -> None:
    assert parse({"node": {"ae_title": " MY NODE "}}, BASE, {}).node.ae_title == "MY NODE"


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("receive", "port", -1, "at least 0"),
        ("receive", "port", 65536, "at most 65535"),
        ("receive", "port", "DICOM", "whole number"),
        ("receive", "processes", 0, "at least 1"),
        ("receive", "quiet_period_s", float("nan"), "number"),
        ("receive", "quiet_period_s", float("inf"), "finite number"),
        ("receive", "check_called_ae", "perhaps", "true or false"),
        ("receive", "allow", "CT1", "must be a list"),
        ("receive", "host", "a b", "host name"),
        ("work", "device", "gpu", "cuda:<number>"),
        ("models", "enabled", "*", "must be a list"),
        ("models", "path", ["/no/such/folder"], "there is no folder"),
        ("database", "url", "mysql://x", "must begin with sqlite:///"),
        ("database", "url", "sqlite:///:memory:", "lost with its process"),
        ("database", "url", "postgresql+psycopg://h/d?password=x", "may not stand in the query"),
        ("database", "password_file", "absent", "No such file"),
    ],
)
def test_wrong_values(section: str, key: str, value: object, words: str) -> None:
    path, text = problem({section: {key: value}})
    assert path.split("[")[0] == f"{section}.{key}"
    assert words in text


def test_a_destination_of_an_unknown_type() -> None:
    assert problem({"destinations": [{**PACS, "type": "ftp"}]}) == (
        "destinations[0].type",
        "must be one of 'dimse', 'folder', 'stow', 'hl7', 'fhir', 'email', 'webhook'",
    )


def test_a_destination_without_a_type_is_a_pacs() -> None:
    assert parse({"destinations": [PACS]}, BASE, {}).destinations[0].type == "dimse"


def test_each_type_has_its_own_keys() -> None:
    folder = {"name": "f", "type": "folder", "pth": "/x", "port": 3}
    told = problems_of({"destinations": [folder, {"name": "h", "type": "hl7", "host": "x y", "port": 0}]})
    assert told["destinations[0].pth"] == "unknown key; did you mean 'path'?"
    assert told["destinations[0].path"] == "is missing"
    assert told["destinations[0].port"].startswith("unknown key; there are: name, ")
    assert told["destinations[1].host"] == "must be a host name or an address"
    assert told["destinations[1].port"] == "must be at least 1"
    assert len(told) == 5


WEB = {"name": "w", "type": "stow", "url": "https://pacs.example.org/dicom-web/"}


@pytest.mark.parametrize(
    ("keys", "environment", "words"),
    [
        ({"url": "ftp://x"}, {}, "must begin with http:// or https://"),
        ({"url": "https://u:p@x"}, {}, "does not belong in the URL"),
        ({"url": "https://x?a=b"}, {}, "neither a query nor a fragment"),
        ({"username": "u"}, {}, "username and a password go together"),
        ({}, {"AINODE_DESTINATIONS__0__PASSWORD": "s"}, "username and a password go together"),
        ({"username": "u"}, {"PASSWORD": "s", "BEARER_TOKEN": "t"}, "not both"),
        ({"url": "http://pacs.example.org"}, {"BEARER_TOKEN": "t"}, "not sent over http"),
        ({"key": "ainode.toml"}, {}, "No such file"),
        ({"password_file": "absent"}, {}, "No such file"),
        ({"bearer_token": "t"}, {}, "a secret does not belong in this file; set AINODE_DESTINATIONS__0__BEARER_TOKEN"),
    ],
)
def test_wrong_keys_of_a_web_server(keys: dict[str, str], environment: dict[str, str], words: str) -> None:
    variables = {
        name if "__" in name else f"AINODE_DESTINATIONS__0__{name}": text for name, text in environment.items()
    }
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        parse({"destinations": [{**WEB, **keys}]}, BASE, variables)


def test_secrets_of_a_destination_come_from_the_environment_and_are_masked() -> None:
    variables = {"AINODE_DESTINATIONS__0__USERNAME": "node", "AINODE_DESTINATIONS__0__PASSWORD": "s3cret"}
    config = parse({"destinations": [WEB]}, BASE, variables)
    (web,) = config.destinations
    assert (web.url, web.username, web.password.get_secret_value()) == (
        "https://pacs.example.org/dicom-web", "node", "s3cret",
    )  # fmt: skip
    assert "s3cret" not in json.dumps(show(config))
    assert parse({"destinations": [{**WEB, "url": "http://127.0.0.1:8042"}]}, BASE, variables)


def test_files_of_a_destination_are_relative_to_the_configuration(tmp_path: Path) -> None:
    for name in ("token", "ca.pem", "node.pem", "node.key"):
        (tmp_path / name).write_text("x")
    keys = {"bearer_token_file": "token", "ca_certificate": "ca.pem", "certificate": "node.pem", "key": "node.key"}
    web, folder = parse(
        {"destinations": [{**WEB, **keys}, {"name": "f", "type": "folder", "path": "out"}]}, tmp_path, {}
    ).destinations
    assert (web.bearer_token_file, web.ca_certificate) == (tmp_path / "token", tmp_path / "ca.pem")
    assert (web.certificate, web.key, folder.path) == (tmp_path / "node.pem", tmp_path / "node.key", tmp_path / "out")


def test_one_port_cannot_serve_images_and_pages() -> None:
    assert problem({"receive": {"port": 8080}, "web": {"port": 8080}})[0] == "web.port"
    assert parse({"receive": {"port": 0}, "web": {"port": 0}}, BASE, {}).web.port == 0


@pytest.mark.parametrize(
    ("when", "key", "words"),
    [
        ({"attribute": "StationNam", "op": "eq", "value": "x"}, "attribute", "not the keyword of a DICOM attribute"),
        ({"attribute": "PixelData", "op": "exists"}, "attribute", "no value to compare"),
        ({"attribute": "Modality", "op": "is", "value": "x"}, "op", "must be one of"),
        ({"attribute": "Modality", "op": "eq"}, "value", "takes one text or number"),
        ({"attribute": "Modality", "op": "eq", "value": ["CT"]}, "value", "takes one text or number"),
        ({"attribute": "Modality", "op": "in", "value": "CT"}, "value", "takes a list"),
        ({"attribute": "Modality", "op": "not_in", "value": []}, "value", "takes a list"),
        ({"attribute": "Modality", "op": "matches", "value": "("}, "value", "not a valid regular expression"),
        ({"attribute": "Modality", "op": "matches", "value": 3}, "value", "takes a regular expression"),
        ({"attribute": "SliceThickness", "op": "le", "value": "thin"}, "value", "takes a number"),
        ({"attribute": "SliceThickness", "op": "exists", "value": 1}, "value", "takes true or false"),
        ({"attribute": "Modality", "op": "eq", "value": {"a": 1}}, "value", "must be text, a number"),
    ],
)
def test_wrong_route_conditions(when: dict[str, object], key: str, words: str) -> None:
    path, text = problem({"routes": [{"when": [when]}]})
    assert path == f"routes[0].when[0].{key}"
    assert words in text


def test_right_route_conditions() -> None:
    whens = [
        {"attribute": "StationName", "op": "in", "value": ["CT1", 2]},
        {"attribute": "SliceThickness", "op": "le", "value": 3},
        {"attribute": "ContrastBolusAgent", "op": "exists"},
        {"attribute": "StudyDescription", "op": "matches", "value": "(?i)stroke"},
    ]
    route = parse({"routes": [{"when": whens}]}, BASE, {}).routes[0]
    assert [when.value for when in route.when] == [("CT1", 2), 3, True, "(?i)stroke"]


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
known_keys = st.sampled_from(["name", "type", "ae_title", "port", "url", "when", "destinations", "models", "path"])


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from(list(Config.model_fields)),
        json_values
        | st.dictionaries(known_keys, json_values, max_size=4)
        | st.lists(st.dictionaries(known_keys, json_values, max_size=4), max_size=2),
        max_size=4,
    )
)
def test_whatever_stands_in_the_file_gives_a_configuration_or_its_problems(raw: dict[str, Any]) -> None:
    try:
        parse(raw, BASE, {})
    except ConfigurationError as error:
        assert error.problems  # noqa: PT017  both ways out are right


# ------------------------------------------------------------------------------------------------ variables


def test_variables_win_over_the_file_and_are_converted() -> None:
    environment = {
        "AINODE_RECEIVE__PORT": "104",
        "AINODE_RECEIVE__QUIET_PERIOD_S": "0.5",
        "AINODE_RECEIVE__CHECK_CALLED_AE": "false",
        "AINODE_RECEIVE__ALLOW": '[{"ae_title": "CT1", "host": "10.0.0.7"}]',
        "AINODE_MODELS__ENABLED": '["a", "b"]',
        "AINODE_NODE__AE_TITLE": "104",
        "AINODE_CONFIG": "elsewhere.toml",
        "PATH": "/bin",
    }
    config = parse({"receive": {"port": 11112}}, BASE, environment)
    assert config.receive.port == 104
    assert config.receive.quiet_period_s == 0.5
    assert config.receive.check_called_ae is False
    assert config.receive.allow[0].ae_title == "CT1"
    assert config.models.enabled == ("a", "b")
    assert config.node.ae_title == "104"


def test_variables_reach_into_lists() -> None:
    environment = {
        "AINODE_DESTINATIONS__0__PORT": "104",
        "AINODE_DESTINATIONS__1__NAME": "second",
        "AINODE_DESTINATIONS__1__AE_TITLE": "SECOND",
        "AINODE_DESTINATIONS__1__HOST": "10.0.0.1",
        "AINODE_DESTINATIONS__1__PORT": "11112",
        "AINODE_ROUTES__0__DESTINATIONS": '["second"]',
        "AINODE_ROUTES__0__WHEN": '[{"attribute": "Modality", "op": "in", "value": ["CT"]}]',
    }
    config = parse({"destinations": [PACS]}, BASE, environment)
    assert [destination.port for destination in config.destinations] == [104, 11112]
    assert config.routes[0].destinations == ("second",)
    assert config.routes[0].when[0].value == ("CT",)


def test_a_whole_list_of_tables_as_one_variable() -> None:
    config = parse({}, BASE, {"AINODE_DESTINATIONS": json.dumps([PACS])})
    assert config.destinations[0].ae_title == "ORTHANC"


def test_a_wrong_value_names_its_variable() -> None:
    assert problem({}, {"AINODE_RECEIVE__PORT": "x"}) == (
        "receive.port",
        "must be a whole number (from AINODE_RECEIVE__PORT)",
    )


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("AINODE_RECEIVE__PROT", "1", "did you mean 'port'?"),
        ("AINODE_RECIEVE__PORT", "1", "did you mean 'receive'?"),
        ("AINODE_PORT", "1", "no key 'port'"),
        ("AINODE_RECEIVE", "1", "names the whole table"),
        ("AINODE_RECEIVE__PORT__X", "1", "no key 'x' of receive.port"),
        ("AINODE_DESTINATIONS__FIRST__PORT", "1", "a number from 0"),
        ("AINODE_DESTINATIONS__3__PORT", "1", "there is no destinations[3]"),
        ("AINODE_MODELS__ENABLED", "a, b", "written as JSON"),
    ],
)
def test_variables_that_fit_no_key(variable: str, value: str, words: str) -> None:
    path, text = problem({}, {variable: value})
    assert path == variable
    assert words in text


# ------------------------------------------------------------------------------------------------ secrets


def test_secrets_may_not_stand_in_the_file() -> None:
    found = problems_of({"database": {"password": "hunter2", "url": "postgresql+psycopg://u:hunter2@h/d"}})
    assert set(found) == {"database.password", "database.url"}
    assert "AINODE_DATABASE__PASSWORD" in found["database.url"]
    assert "hunter2" not in str(found)


def test_a_password_from_a_variable_is_masked_when_shown() -> None:
    raw = {"database": {"url": "postgresql+psycopg://ainode@db.example.org/ainode"}}
    config = parse(raw, BASE, {"AINODE_DATABASE__PASSWORD": "[hunter2"})
    assert config.database.password is not None
    assert config.database.password.get_secret_value() == "[hunter2"
    assert "hunter2" not in json.dumps(show(config))
    assert "hunter2" not in repr(config)


def test_a_password_in_the_url_of_a_variable_leaves_the_url() -> None:
    config = parse(
        {}, BASE, {"AINODE_DATABASE__URL": "postgresql+psycopg://ainode:p%40ss@db:5432/ainode?sslmode=require"}
    )
    assert config.database.url == "postgresql+psycopg://ainode@db:5432/ainode?sslmode=require"
    assert config.database.password is not None
    assert config.database.password.get_secret_value() == "p@ss"


def test_password_and_password_file_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("pw")
    raw = {"database": {"password_file": "secret"}}
    found = problems_of(raw, {"AINODE_DATABASE__PASSWORD": "pw"}, tmp_path)
    assert found == {"database.password_file": "a password is given too; one of the two"}


def test_show_is_plain_data_and_schema_knows_every_section() -> None:
    shown = json.loads(json.dumps(show(parse({"destinations": [PACS]}, BASE, {}))))
    assert shown["destinations"][0]["commitment"] is True
    assert set(schema()["properties"]) == set(Config.model_fields)
