"""``python -m node.infer.device_check DEVICE``: whether PyTorch can compute there; one JSON document on stdout."""

from __future__ import annotations

import json
import sys

import torch

from node.infer.engine import choose_device


def look(name: str) -> dict[str, str | bool]:
    """``ok``, and in ``found`` what the device is, or why it cannot be used."""
    try:
        device = choose_device(name)
        ones = torch.ones(8, 8, device=device)
        if float((ones @ ones).sum()) != 512.0:
            return {"ok": False, "found": f"{device} computes wrongly"}
    except (RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
        return {"ok": False, "found": f"{name}: {str(error).splitlines()[0]}"}
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return {"ok": True, "found": f"{device} ({kind}), PyTorch {torch.__version__}"}


if __name__ == "__main__":
    json.dump(look(sys.argv[1]), sys.stdout)
