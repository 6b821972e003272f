"""The destinations of a configuration, wired."""

from __future__ import annotations

from collections.abc import Callable

from node.config import Config, DimseDestination
from node.deliver import storage_scu
from node.deliver.association import Peer
from node.domain.delivery import CommitmentReport
from node.domain.rendition import Rendition, Wishes
from node.domain.retry import RetryPolicy
from node.errors import NotFound


def destination(
    config: Config, name: str, apply_report: Callable[[CommitmentReport], object] | None = None
) -> storage_scu.DimseDestination:
    """
    Raises:
        NotFound: the configuration names no such destination.
    """
    for settings in config.destinations:
        if settings.name == name:
            return dimse_destination(config, settings, apply_report)
    names = ", ".join(one.name for one in config.destinations) or "none"
    raise NotFound(f"no destination {name!r}; there are: {names}")


def dimse_destination(
    config: Config, settings: DimseDestination, apply_report: Callable[[CommitmentReport], object] | None
) -> storage_scu.DimseDestination:
    peer = Peer(
        ae_title=settings.ae_title,
        host=settings.host,
        port=settings.port,
        calling_ae_title=config.node.ae_title,
        timeout_s=settings.timeout_s,
    )
    return storage_scu.DimseDestination(
        settings.name,
        peer,
        commits=settings.commitment,
        commitment_wait_s=settings.commitment_wait_s,
        apply_report=apply_report,
    )


def wishes(config: Config) -> dict[str, Wishes]:
    """What each destination is sent, by its name."""
    return {
        one.name: Wishes(
            frozenset(Rendition(kind.upper()) for kind in one.pictures),
            None if one.segmentation == "model" else Rendition(one.segmentation.upper()),
        )
        for one in config.destinations
    }


def delivery_policy(settings: DimseDestination) -> RetryPolicy:
    return RetryPolicy(settings.max_attempts, settings.retry_base_s, settings.retry_cap_s)
