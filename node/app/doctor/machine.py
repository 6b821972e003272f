"""What this machine has: models that load, devices that compute, libraries, a time zone."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime
from importlib import metadata
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from node.app.devices import resolve
from node.app.doctor.finding import Finding, fail, ok, warn
from node.app.packages import scan_models
from node.app.supervisor import python_module
from node.config import Config
from node.receive.self_check import unusable

# The first import of PyTorch on a busy machine takes most of it.
DEVICE_LIMIT_S = 120.0
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)[^;]*(;.*extra\s*==\s*['\"](?P<extra>[^'\"]+)['\"])?")


def models(config: Config) -> Iterator[Finding]:
    """Every enabled package with the digest of its weights."""
    found = scan_models(config)
    for problem in found.problems:
        advice = "Put the package back as it was published, or leave it out of models.enabled."
        yield fail(f"models.{problem.package}", f"{problem.error.code}: {problem.error.message}", advice)
    if found.models:
        yield ok("models", ", ".join(f"{one.id} {one.version}" for one in found.models.values()))
    else:
        yield warn("models", "no model is enabled", "Enable packages with models.enabled, or add one to models.path.")


def devices(config: Config) -> Iterator[Finding]:
    """Each device is asked in a process of its own: a driver that hangs hangs there."""
    for device in resolve(config.work.device):
        yield _device(device)


def _device(device: str) -> Finding:
    check = f"device.{device}"
    advice = 'Install the driver and a PyTorch that fits it, or set work.device = "cpu".'
    command = python_module("node.infer.device_check", device)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEVICE_LIMIT_S, check=False)  # noqa: S603
        told = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return fail(check, f"did not compute within {DEVICE_LIMIT_S:g} s", advice)
    except ValueError:
        return fail(check, f"PyTorch ended with exit code {done.returncode}", advice)
    return ok(check, told["found"]) if told["ok"] else fail(check, told["found"], advice)


def libraries() -> Iterator[Finding]:
    """What the distribution requires, and the extras that somebody installed by half."""
    try:
        required = metadata.requires("ainode") or []
    except metadata.PackageNotFoundError:
        yield ok("libraries", "not installed as a distribution: what it requires is not known")
    else:
        yield from _requirements(required)
    reason = unusable()
    if reason:
        advice = "Install the version of pynetdicom that pyproject.toml names: until then reception is slower."
        yield warn("libraries.fast-reception", f"pynetdicom is not as the fast path needs it: {reason}", advice)


def _requirements(required: list[str]) -> Iterator[Finding]:
    missing: dict[str, list[str]] = {}
    extras: dict[str, int] = {}
    for line in required:
        if (match := _REQUIREMENT.match(line)) is None:
            continue
        extra = match["extra"] or ""
        extras[extra] = extras.get(extra, 0) + 1
        if not _is_installed(match["name"]):
            missing.setdefault(extra, []).append(match["name"])
    if "" in missing:
        yield fail("libraries", f"missing: {', '.join(missing[''])}", "Install ainode again: 'pip install ainode'.")
    else:
        yield ok("libraries", "everything that the node needs is installed")
    train = missing.get("train", [])
    if train and len(train) < extras["train"]:
        advice = "Install them with 'pip install ainode[train]', if models are trained here."
        yield warn("libraries.train", f"of the model kit's some are missing: {', '.join(train)}", advice)
    elif "train" in extras:
        yield ok("libraries.train", "the model kit's are not installed" if train else "the model kit's are installed")


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def time_zone() -> Iterator[Finding]:
    """Times of images without Timezone Offset From UTC (0008,0201) are taken as of this machine's zone."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if name and "/" in name:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield warn("time-zone", f"TZ={name} is not known here: UTC is used", "Install tzdata, or correct TZ.")
            return
    yield ok("time-zone", f"{datetime.now().astimezone():%Z, UTC%z}; the node itself counts in UTC")
