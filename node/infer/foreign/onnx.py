"""An ONNX file as a network on the CPU, by ONNX Runtime, which is imported when the first one is loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from node.errors import InvalidModelOutput, InvalidModelPackage

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def onnx_network(content: bytes, name: str) -> nn.Module:
    """The network in ``content``; ``name`` is the file's, for messages.

    Raises:
        InvalidModelPackage: no ONNX, one with weights in other files, or one with several inputs; ONNX Runtime is not
            installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415  only packages of this format need it
    except ModuleNotFoundError as error:
        raise InvalidModelPackage(f"{name}: ONNX Runtime is not installed (pip install onnxruntime)") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its errors are raised, its advice is not for operators
    options.intra_op_num_threads = torch.get_num_threads()
    # Weights in other files would be read from wherever the process stands, and no digest holds for them.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", "/nonexistent")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no class in common
        raise InvalidModelPackage(f"{name}: no ONNX that can be read here: {str(error)[:300]}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in TYPES:
        found = ", ".join(f"{one.name}: {one.type}" for one in inputs)
        raise InvalidModelPackage(f"{name}: wants the inputs ({found}); one of floating point is supported")
    return Session(session)


class Session(nn.Module):
    """An ONNX Runtime session in a module's clothes: no parameters, tensors in and out on the CPU."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self._session = session
        self._input = session.get_inputs()[0]

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        array = inputs.cpu().numpy().astype(TYPES[self._input.type])
        try:
            outputs = self._session.run(None, {self._input.name: array})
        except Exception as error:  # as above
            words = f"ONNX Runtime refuses the input of shape {tuple(array.shape)}: {str(error)[:300]}"
            raise InvalidModelOutput(words, field="inputs") from error
        return tuple(torch.from_numpy(np.asarray(one)).to(inputs.device) for one in outputs)
