"""A subscriber in a process of its own: prints each N-EVENT-REPORT as a line of JSON.

``python -m tests.integration.ups_receiver AE_TITLE``; the first line is the port.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.sop_class import UnifiedProcedureStepEvent  # type: ignore[attr-defined]


def on_report(event: Any) -> tuple[int, None]:
    told = {
        "uid": event.request.AffectedSOPInstanceUID,
        "class": event.request.AffectedSOPClassUID,
        "type": event.event_type,
        "information": event.event_information.to_json_dict(),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    return 0x0000, None


def main() -> None:
    entity = AE(ae_title=sys.argv[1])
    entity.add_supported_context(UnifiedProcedureStepEvent, scu_role=True, scp_role=True)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)])
    assert server is not None
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
