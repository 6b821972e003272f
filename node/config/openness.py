"""What a valid configuration leaves open to whoever comes: no mistake by itself, and nothing to happen unnoticed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from node.config.sections import AllowedPeer, Config, TlsSection

Remark = tuple[str, str]


def open_to_everybody(config: Config) -> list[Remark]:
    """What is open, each by its key path with what to do about it."""
    found = list(_unnamed_senders(config))
    # A caller must be on both lists: one that says the address is enough.
    addressed = bool(config.receive.allow) and all(one.host for one in config.receive.allow)
    if config.query.enabled and not addressed:
        found += _titles_alone("query.allow", config.query.allow, config.receive.tls, "read what the node holds")
    if config.ups.enabled:
        found += _titles_alone("ups.allow", config.ups.allow, config.ups.tls, "read and change workitems")
    return found


def _unnamed_senders(config: Config) -> Iterator[Remark]:
    if not config.receive.allow and not _proves_itself(config.receive.tls):
        yield "receive.allow", "any AE title may store images here; name those that may"


def _titles_alone(key: str, allow: Sequence[AllowedPeer], tls: TlsSection | None, what: str) -> Iterator[Remark]:
    if _proves_itself(tls):
        return
    for index, peer in enumerate(allow):
        if peer.host is None:
            yield f"{key}[{index}]", f"whoever calls itself {peer.ae_title!r} may {what}, from anywhere; say its host"


def _proves_itself(tls: TlsSection | None) -> bool:
    """Whether callers show a certificate."""
    return tls is not None and tls.client_ca is not None
