"""Blocks of the Minimal Lower Layer Protocol, in pieces, without an end, and of something else."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from node.deliver import mllp
from node.deliver.mllp import MllpLine
from node.errors import DestinationUnreachable, UnexpectedAnswer

TIMEOUT_S = 60.0


@pytest.fixture
def ends() -> Iterator[tuple[MllpLine, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield MllpLine(ours, TIMEOUT_S), theirs


def test_a_message_goes_out_in_a_block_and_the_answer_comes_back(ends: tuple[MllpLine, socket.socket]) -> None:
    line, peer = ends
    peer.sendall(b"\x0bMSH|answer\r\x1c\x0d")
    assert line.exchange(b"MSH|message\r") == b"MSH|answer\r"
    assert peer.recv(1000) == b"\x0bMSH|message\r\x1c\x0d"


def test_an_end_of_block_in_two_pieces(ends: tuple[MllpLine, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mllp, "_CHUNK", 1)
    line, peer = ends
    peer.sendall(b"\x0ba\x1cb\x1c\x0d")
    assert line.exchange(b"x") == b"a\x1cb"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400", b"\x0b" + b"x" * 5000])
def test_what_is_no_block(ends: tuple[MllpLine, socket.socket], monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(mllp, "MAX_ANSWER", 1000)
    line, peer = ends
    peer.sendall(answer)
    with pytest.raises(UnexpectedAnswer):
        line.exchange(b"x")


@pytest.mark.parametrize("answer", [b"", b"\x0bMSH|half"])
def test_a_peer_that_closes(ends: tuple[MllpLine, socket.socket], answer: bytes) -> None:
    line, peer = ends
    peer.sendall(answer)
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(DestinationUnreachable, match="closed"):
        line.exchange(b"x")


def test_a_peer_that_says_nothing_to_the_end(ends: tuple[MllpLine, socket.socket]) -> None:
    _, peer = ends
    peer.sendall(b"\x0bMSH|half")
    with pytest.raises(DestinationUnreachable, match="in time"):
        MllpLine(ends[0]._connection, 0.2).exchange(b"x")
