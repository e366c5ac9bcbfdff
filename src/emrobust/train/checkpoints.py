"""What training leaves behind every minute, so that ``kill -9`` costs a minute and no bit.

A checkpoint is one folder, written beside its place, flushed, checksummed and renamed:
``weights.safetensors``, ``best.safetensors`` (the weights of the best epoch so far),
``moments.safetensors`` (AdamW's), ``extra.safetensors`` (what a step keeps) and ``state.json``.
The last two checkpoints are kept: if the newest does not match its checksums, the one before is
taken.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from emrobust import runs
from emrobust.errors import RunError
from emrobust.models.network import load_weights, save_weights

_KEPT = 2
_STATE = "state.json"
Tensors = dict[str, torch.Tensor]


@dataclass
class State:
    """Where training stands.

    Attributes:
        epoch: the running epoch, from 0.
        batch: how many of its batches are done.
        step: optimizer steps done in all.
        loss: sum of the epoch's losses so far.
        skipped: steps without a number, up to the epoch's begin.
        all_skipped: the same up to now.
        notes: sum and count of what the epoch's steps noted.
        best: best validation score so far; absent before the first.
        stale: epochs since then.
        seconds: time spent in all, over restarts.
        history: one row an epoch, as the learning curves show them.
        finished: nothing is left to do.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss: float = 0.0
    skipped: int = 0
    all_skipped: int = 0
    notes: dict[str, list[float]] = field(default_factory=dict)
    best: float | None = None
    stale: int = 0
    seconds: float = 0.0
    history: list[dict[str, float | None]] = field(default_factory=list)
    finished: bool = False


@dataclass
class Snapshot:
    """Everything that training needs to go on.

    Attributes:
        state: counters and history.
        weights: of the network.
        best: of the best epoch so far.
        moments: AdamW's, see `moments`.
        extra: whatever else a step keeps from one to the next.
    """

    state: State
    weights: Tensors
    best: Tensors
    moments: Tensors
    extra: Tensors = field(default_factory=dict)


def save(folder: Path, snapshot: Snapshot, fingerprint: Mapping[str, Any]) -> None:
    """Add a checkpoint and forget those before the last two.

    Raises:
        StorageError: the disk is full; earlier checkpoints are untouched.
    """
    name = f"epoch-{snapshot.state.epoch:04d}-batch-{snapshot.state.batch:07d}"
    with runs.atomic_folder(folder / name) as partial:
        save_weights(snapshot.weights, partial / "weights.safetensors")
        save_weights(snapshot.best, partial / "best.safetensors")
        save_weights(snapshot.moments, partial / "moments.safetensors")
        save_weights(snapshot.extra, partial / "extra.safetensors")
        runs.write_json(partial / _STATE, asdict(snapshot.state))
        runs.write_manifest(partial, fingerprint)
    for old in _folders(folder)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def load(folder: Path, fingerprint: Mapping[str, Any]) -> Snapshot | None:
    """The newest checkpoint that is whole; none where training has not begun.

    Raises:
        RunError: the checkpoint is of other settings or data.
    """
    for leftover in [*folder.glob(f".*{runs.PARTIAL}"), *folder.glob(".*.old")]:
        shutil.rmtree(leftover, ignore_errors=True)
    for candidate in _folders(folder):
        try:
            facts = runs.verify_manifest(candidate)
            snapshot = _read(candidate)
        except (RunError, KeyError, TypeError):
            continue
        _compare(facts, fingerprint, candidate)
        return snapshot
    return None


def _read(folder: Path) -> Snapshot:
    return Snapshot(
        State(**runs.read_json(folder / _STATE)),
        load_weights(folder / "weights.safetensors"),
        load_weights(folder / "best.safetensors"),
        load_weights(folder / "moments.safetensors"),
        load_weights(folder / "extra.safetensors"),
    )


def moments(named: Mapping[str, torch.Tensor], optimizer: torch.optim.AdamW) -> Tensors:
    """AdamW's first and second moments by parameter name."""
    return {
        f"{name}/{key}": optimizer.state[parameter][key]
        for name, parameter in named.items()
        for key in ("exp_avg", "exp_avg_sq")
        if parameter in optimizer.state
    }


def restore_moments(
    named: Mapping[str, torch.Tensor], optimizer: torch.optim.AdamW, snapshot: Snapshot
) -> None:
    """Put AdamW's moments back, on each parameter's device."""
    done = float(snapshot.state.step - snapshot.state.all_skipped)
    for name, parameter in named.items():
        if f"{name}/exp_avg" in snapshot.moments:
            optimizer.state[parameter] = {
                "step": torch.tensor(done, device=parameter.device),
                "exp_avg": snapshot.moments[f"{name}/exp_avg"].to(parameter.device),
                "exp_avg_sq": snapshot.moments[f"{name}/exp_avg_sq"].to(parameter.device),
            }


def _folders(folder: Path) -> list[Path]:
    """Checkpoints, the newest first."""
    return sorted(folder.glob("epoch-*-batch-*"), reverse=True)


def _compare(found: Mapping[str, Any], expected: Mapping[str, Any], folder: Path) -> None:
    changed = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
    if changed:
        raise RunError(
            f"{folder} was written by a training with other {', '.join(changed)}",
            "Restore them to go on where it stopped, or delete the folder (or choose another"
            " with --out) to begin anew.",
        )
