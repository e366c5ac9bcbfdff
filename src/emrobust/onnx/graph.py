"""A network as an ONNX graph, and the same with its weights in int8.

The graph maps ``ids`` int64 and ``mask`` bool [rows, tokens] to ``logits`` float32 [rows, labels];
rows and tokens are free. PyTorch's older exporter is used: it takes a second where the newer
one takes twenty, and needs no further package. torch is pinned, so that it cannot go away unseen.
"""

from __future__ import annotations

import copy
import logging
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from emrobust.errors import ModelError
from emrobust.models.network import Network

_OPSET = 17
# Rows of different lengths, so that nothing about padding is taken for a constant.
_LENGTHS = (16, 9, 4)
_AXES = {0: "rows", 1: "tokens"}


class _Whole(torch.nn.Module):
    """The network without its third argument, which adversaries use."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.network(ids, mask)
        return logits


def write_fp32(network: Network, path: Path) -> None:
    """Write a network as it is.

    Raises:
        ModelError: its architecture holds something that ONNX cannot express.
    """
    whole = _Whole(copy.deepcopy(network).cpu()).eval()
    mask = torch.arange(max(_LENGTHS)) < torch.tensor(_LENGTHS)[:, None]
    ids = torch.where(mask, _some_token(network), network.pad)
    try:
        # It warns of its age, and of branches that depend on shapes; the self-test tries others.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                whole,
                (ids, mask),
                str(path),
                input_names=["ids", "mask"],
                output_names=["logits"],
                dynamic_axes={"ids": _AXES, "mask": _AXES, "logits": {0: "rows"}},
                dynamo=False,
                opset_version=_OPSET,
            )
    except OSError:
        raise  # a full disk is not the network's fault
    except Exception as error:  # the exporter's errors have no common base
        raise ModelError(
            f"this network cannot be written as ONNX ({type(error).__name__})",
            "Use it from its run folder; `emrobust predict RUN` works with every model.",
        ) from None


def _some_token(network: Network) -> int:
    return max(network.pad + 1, 1)


def write_int8(source: Path, path: Path) -> None:
    """Write a graph with its large matrices in int8, one scale a column; inputs stay fp32."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends a step that changes nothing here
    try:
        quantize_dynamic(
            source,
            path,
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        root.setLevel(level)
