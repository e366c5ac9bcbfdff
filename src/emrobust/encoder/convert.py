"""A pickle checkpoint rewritten as safetensors, by an explicit command and never in passing.

PyTorch's restricted unpickler reads plain tensors and raises on everything else, so a file that
would run code is refused before it can. What comes out is opened once before it counts.
"""

from __future__ import annotations

import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from emrobust import runs
from emrobust.encoder import checkpoint
from emrobust.errors import ModelError

_WEIGHTS = "pytorch_model*.bin"
_SUFFIXES = {".json", ".txt", ".model", ".spm"}
_INDEX = ".index.json"


def convert(source: Path, target: Path) -> int:
    """Write the checkpoint of ``source`` into the new folder ``target``, all or nothing.

    Args:
        source: config.json, tokenizer files and pytorch_model.bin (or its numbered parts).
        target: must be absent or empty.

    Returns:
        the number of tensors.

    Raises:
        ModelError: no pickle lies there, it holds anything but plain tensors, or what it holds
            is no usable text encoder.
        StorageError: ``target`` cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ModelError(f"{target} is not empty", "Give a new folder with --out.")
    parts = sorted(source.glob(_WEIGHTS))
    if not parts:
        raise ModelError(
            f"{source} has no pytorch_model.bin",
            "Give the folder of a checkpoint; one with model.safetensors needs no conversion.",
        )
    tensors = {name: value for part in parts for name, value in _read(part).items()}
    with runs.atomic_folder(target) as partial:
        save_file(tensors, partial / "model.safetensors", metadata={"format": "pt"})
        for file in source.iterdir():
            if file.suffix in _SUFFIXES and not file.name.endswith(_INDEX) and file.is_file():
                shutil.copyfile(file, partial / file.name)
        checkpoint.read(partial)
    return len(tensors)


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of one file, none sharing memory with another (safetensors' condition)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say of odd files, the errors below do too
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise _refused(path, "asks for code to be run, or is damaged") from None
    except Exception as error:
        # Whatever a damaged archive makes the reader raise; its message may hold the content.
        raise _refused(path, f"cannot be read ({type(error).__name__})") from None
    if not isinstance(found, dict) or not found:
        raise _refused(path, "is no table of tensors")
    for name, value in found.items():
        if not isinstance(name, str) or not _plain(value):
            raise _refused(path, "holds more than plain tensors by name")
    return {name: value.detach().clone().contiguous() for name, value in found.items()}


def _plain(value: Any) -> bool:
    return (
        type(value) in {torch.Tensor, torch.nn.Parameter}
        and value.layout is torch.strided
        and not (value.is_quantized or value.is_complex() or value.is_meta)
    )


def _refused(path: Path, why: str) -> ModelError:
    return ModelError(
        f"{path} {why}; it was refused and nothing was written",
        "Ask its publisher for model.safetensors.",
    )
