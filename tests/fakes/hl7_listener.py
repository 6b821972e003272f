"""An HL7 listener in a process of its own: the MLLP server of python-hl7, which answers as MSH-5 of a message asks.

``python -m tests.fakes.hl7_listener FOLDER`` prints its port, and keeps what it is sent in FOLDER.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

import hl7
import hl7.mllp

ACKNOWLEDGMENTS = ("AA", "AE", "AR", "CA", "CE", "CR")


class Answers:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    async def __call__(self, reader: Any, writer: Any) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                message = await reader.readmessage()
                if not await self._answer(message, writer):
                    break
        writer.close()

    async def _answer(self, message: Any, writer: Any) -> bool:
        """Whether the connection goes on."""
        self._count += 1
        part = self._folder / f"{self._count:04}.part"
        part.write_bytes(str(message).encode())
        part.rename(part.with_suffix(".hl7"))
        wanted = str(message.segment("MSH")[5])
        match wanted:
            case "SILENCE":
                await asyncio.sleep(3600)
            case "CLOSE":
                return False
            case "GARBAGE":
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            case "NOISE":
                writer.writeblock(b"MSH|\x00\xff\r")
            case "OTHER":
                answer = message.create_ack("AA")
                answer.segment("MSA").assign_field("SOMEBODY", 2)
                writer.writemessage(answer)
            case _:
                answer = message.create_ack(wanted if wanted in ACKNOWLEDGMENTS else "AA")
                answer.segment("MSA").assign_field("about PATIENT^NAME", 3)
                writer.writemessage(answer)
        await writer.drain()
        return True


async def serve(folder: Path) -> None:
    server = await hl7.mllp.start_hl7_server(Answers(folder), "127.0.0.1", 0, encoding="utf-8")
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
