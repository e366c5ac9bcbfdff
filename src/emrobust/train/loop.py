"""The training loop, the only one, from the first batch to the best weights.

AdamW with warm-up and linear decay, gradients clipped, bf16 autocast where the processor has
it, early stopping on a validation score, checkpoints. Whatever is random (the order of batches,
dropout) is a pure function of the seed and of the epoch's or step's number; so a training that
was killed at any moment goes on from its last checkpoint and ends with the same bits on a CPU
(with the same number of threads and the same PyTorch).

Validation is a function argument: this file knows no metric. What a step does with a batch is
one too (`steps`): the default is one clean pass; an adversary passes perturbed embeddings instead.

A step whose loss or gradient is not a number changes nothing and is counted; ten in a row stop
the training.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from emrobust import progress
from emrobust.config import Train
from emrobust.errors import EmrobustError, ModelError
from emrobust.models.network import Network
from emrobust.train import batches, checkpoints
from emrobust.train.batches import Batch, Tokens
from emrobust.train.checkpoints import Snapshot, State, Tensors
from emrobust.train.losses import Loss
from emrobust.train.steps import Evaluate, Notes, Remembering, Starting, Step, clean_step

# How often the loss is looked at: on a GPU each look waits for the device.
_LOOK_EVERY = 50
# Writing checkpoints may take at most one part in this many of the time.
_WRITING_SHARE = 20
# So many steps in a row without a number, and it will not come back.
_PATIENCE = 10


class Stream(Protocol):
    """Training texts that differ from epoch to epoch, such as augmented ones."""

    def read(
        self, epoch: int, step: int, plan: Sequence[np.ndarray]
    ) -> Generator[Tokens, None, None]:
        """The texts of some batches; a function of the arguments, so that training can go on.

        Args:
            epoch: its number.
            step: number of the first batch's step.
            plan: the rows of each batch, planned by the plain texts' lengths.

        Yields:
            the texts of a batch, in the order of its rows.
        """


class Data(NamedTuple):
    """Training texts as token numbers, and their targets.

    Attributes:
        tokens: of the texts as they were written.
        targets: 0 and 1 [texts, labels].
        stream: gives the texts of a batch instead; absent: they are as they were written.
    """

    tokens: Tokens
    targets: np.ndarray
    stream: Stream | None = None


Validate = Callable[[Network], float]


@dataclass
class _Run:
    """What the functions below share."""

    network: Network
    data: Data
    settings: Train
    loss: Loss
    seed: int
    validate: Validate | None
    step: Step
    folder: Path | None
    fingerprint: Mapping[str, Any]
    optimizer: torch.optim.AdamW
    rate: float
    steps: int
    bf16: bool
    total: torch.Tensor
    skipped: torch.Tensor
    in_a_row: torch.Tensor
    longest: torch.Tensor
    notes: Notes = field(default_factory=Notes)
    state: State = field(default_factory=State)
    best: Tensors = field(default_factory=dict)
    saved_at: float = field(default_factory=time.monotonic)
    pause: float = 0.0
    ticked: float = field(default_factory=time.monotonic)


def train(
    network: Network,
    data: Data,
    settings: Train,
    *,
    loss: Loss,
    seed: int,
    validate: Validate | None = None,
    step: Step = clean_step,
    folder: Path | None = None,
    fingerprint: Mapping[str, Any] | None = None,
) -> list[dict[str, float | None]]:
    """Train ``network`` in place; it ends with the weights of its best epoch.

    Args:
        network: with its first weights, on the device to train on.
        data: the training rows.
        settings: the project's ``[train]``.
        loss: from `losses.make`.
        seed: of batches and dropout.
        validate: gives the score of the network (larger is better); absent: every epoch is
            run and the last weights are kept.
        step: what is done with a batch.
        folder: for checkpoints; where it holds some, training goes on from there.
        fingerprint: what must be the same for that: settings and checksums of data.

    Returns:
        one row an epoch: epoch, step, loss, macro_f1, learning_rate, tokens_per_second, seconds,
        skipped_steps, and the means of what the steps noted.

    Raises:
        ConfigError: the step has no use in so short a training.
        RunError: the checkpoints are of another training.
        EmrobustError: the loss is no longer a number; the last checkpoint is kept.
    """
    rate = settings.learning_rate or network.learning_rate
    run = _Run(
        network, data, settings, loss, seed, validate, step, folder, fingerprint or {},
        optimizer=_optimizer(network, rate, settings),
        rate=rate,
        steps=sum(len(_plan(data, settings, seed, epoch)) for epoch in range(settings.epochs)),
        bf16=uses_bf16(settings.precision, _device(network)),
        total=torch.zeros((), dtype=torch.float64, device=_device(network)),
        skipped=torch.zeros((), device=_device(network)),
        in_a_row=torch.zeros((), device=_device(network)),
        longest=torch.zeros((), device=_device(network)),
    )  # fmt: skip
    if isinstance(step, Starting):
        step.check(run.steps)
    _resume(run)
    tokens = len(data.tokens.flat) * (settings.epochs - run.state.epoch)
    with progress.track("training", tokens, "tokens") as advance:
        while not run.state.finished:
            started = time.monotonic()
            tokens = 0
            for batch in _rest_of_epoch(run):
                _take_step(run, batch)
                done = int(batch.mask.sum())
                tokens += done
                advance(done)
            _end_epoch(run, tokens / max(time.monotonic() - started, 1e-9))
    if run.best:
        network.load_state_dict(run.best)
    network.eval()
    return run.state.history


def _plan(data: Data, settings: Train, seed: int, epoch: int) -> list[np.ndarray]:
    return batches.plan(
        data.tokens.lengths,
        batch_size=settings.batch_size,
        batch_tokens=settings.batch_tokens,
        seed=seed,
        epoch=epoch,
    )


def _rest_of_epoch(run: _Run) -> Iterator[Batch]:
    """The batches that are still to do; between two of them a checkpoint may be written."""
    run.network.train()
    device = _device(run.network)
    plan = _plan(run.data, run.settings, run.seed, run.state.epoch)[run.state.batch :]
    for rows, (ids, mask) in zip(plan, _padded(run, plan), strict=True):
        targets = torch.from_numpy(run.data.targets[rows].astype(np.float32))
        yield Batch(ids.to(device), mask.to(device), targets.to(device))
        run.state.batch += 1
        due = max(run.settings.checkpoint_seconds, run.pause)
        if time.monotonic() - run.saved_at >= due:
            _save(run)


def _padded(run: _Run, plan: Sequence[np.ndarray]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token numbers and mask of each batch."""
    if run.data.stream is None:
        for rows in plan:
            yield batches.pad(run.data.tokens, rows, run.network.pad)
        return
    read = run.data.stream.read(run.state.epoch, run.state.step, plan)
    with contextlib.closing(read):
        for tokens in read:
            yield batches.pad(tokens, np.arange(len(tokens.lengths)), run.network.pad)


def _take_step(run: _Run, batch: Batch) -> None:
    """Gradients, clipping, one step of AdamW."""
    network, state = run.network, run.state
    loss = run.step(network, batch, _evaluate(run, batch))
    norm = nn.utils.clip_grad_norm_(network.parameters(), run.settings.clip_norm)
    for group in run.optimizer.param_groups:
        group["lr"] = (
            group["share"] * run.rate * schedule(state.step, run.steps, run.settings.warmup)
        )
    good = torch.isfinite(loss) & torch.isfinite(norm)
    _count(run, good)
    # As a gradient scaler does it: AdamW skips the step on the device, without waiting for it.
    run.optimizer.found_inf = (~good).float()  # type: ignore[attr-defined]  # read by the fused step
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    state.step += 1
    run.total += torch.where(good, loss.double(), 0.0)
    if state.step % _LOOK_EVERY == 0 or batch.ids.device.type == "cpu":
        _look(run)


def _count(run: _Run, good: torch.Tensor) -> None:
    run.skipped += ~good
    run.in_a_row = torch.where(good, 0.0, run.in_a_row + 1)
    run.longest = torch.maximum(run.longest, run.in_a_row)


def _evaluate(run: _Run, batch: Batch) -> Evaluate:
    return Evaluate(
        run.network, batch, run.loss, run.seed, run.state.step, run.steps, run.bf16, run.notes
    )


def _end_epoch(run: _Run, speed: float) -> None:
    """Validate, keep the best weights, write the history, decide whether to go on."""
    _look(run)
    state = run.state
    score = None
    if run.validate is not None:
        run.network.eval()
        with torch.inference_mode(), _autocast(run):
            score = run.validate(run.network)
        _judge(run, score)
    count = len(_plan(run.data, run.settings, run.seed, state.epoch))
    _clock(run)
    skipped = int(run.skipped) - state.skipped
    row: dict[str, float | None] = {
        "epoch": state.epoch + 1,
        "step": state.step,
        "loss": float(run.total) / max(count - skipped, 1),
        "macro_f1": score,
        "learning_rate": run.rate * schedule(state.step - 1, run.steps, run.settings.warmup),
        "tokens_per_second": speed,
        "seconds": state.seconds,
        "skipped_steps": skipped,
        **run.notes.means(),
    }
    state.history.append(row)
    state.epoch, state.batch, state.skipped = state.epoch + 1, 0, int(run.skipped)
    run.total.zero_()
    run.notes.clear()
    state.finished = state.epoch >= run.settings.epochs or state.stale >= run.settings.patience
    _save(run)


def _judge(run: _Run, score: float) -> None:
    if run.state.best is None or score > run.state.best:
        run.state.best, run.state.stale = score, 0
        run.best = {name: value.clone() for name, value in run.network.state_dict().items()}
    else:
        run.state.stale += 1


def _autocast(run: _Run) -> torch.autocast:
    return torch.autocast(_device(run.network).type, torch.bfloat16, enabled=run.bf16)


def _look(run: _Run) -> None:
    """Stop where no step has had a number for long."""
    if run.longest >= _PATIENCE:
        raise EmrobustError(
            f"the loss or its gradient was not a number in {_PATIENCE} steps in a row, up to"
            f" step {run.state.step} of {run.steps}",
            "The last checkpoint is kept. Lower `learning_rate` or `clip_norm` (and the"
            ' adversary\'s `epsilon`), or set `precision = "fp32"`, and begin anew.',
        )


def _save(run: _Run) -> None:
    """Write a checkpoint, and see to it that writing stays a small part of the time.

    Not right after a step without a number: the weights may be what is wrong.
    """
    if run.folder is None or run.in_a_row > 0:
        return
    _look(run)
    started = time.monotonic()
    _clock(run)
    state = run.state
    state.loss, state.all_skipped = float(run.total), int(run.skipped)
    state.notes = run.notes.dump()
    moments = checkpoints.moments(dict(run.network.named_parameters()), run.optimizer)
    kept: Tensors = run.step.state() if isinstance(run.step, Remembering) else {}
    snapshot = Snapshot(state, run.network.state_dict(), run.best, moments, kept)
    checkpoints.save(run.folder, snapshot, run.fingerprint)
    run.saved_at = time.monotonic()
    run.pause = (run.saved_at - started) * _WRITING_SHARE


def _clock(run: _Run) -> None:
    """Add the time since the last look at the clock."""
    now = time.monotonic()
    run.state.seconds += now - run.ticked
    run.ticked = now


def _resume(run: _Run) -> None:
    """Put weights, moments and counters back where the newest whole checkpoint has them."""
    snapshot = None if run.folder is None else checkpoints.load(run.folder, run.fingerprint)
    if snapshot is None:
        return
    device = _device(run.network)
    run.state = snapshot.state
    run.best = {name: value.to(device) for name, value in snapshot.best.items()}
    run.network.load_state_dict(snapshot.weights)
    run.total += run.state.loss
    run.skipped += run.state.all_skipped
    run.notes.load(run.state.notes, device)
    if isinstance(run.step, Remembering):
        run.step.load_state({name: value.to(device) for name, value in snapshot.extra.items()})
    checkpoints.restore_moments(dict(run.network.named_parameters()), run.optimizer, snapshot)


def _optimizer(network: Network, rate: float, settings: Train) -> torch.optim.AdamW:
    """AdamW; biases and norms (vectors) do not decay, deep layers learn at a share of the rate."""
    groups: list[dict[str, Any]] = []
    for depth, parameters in enumerate(network.by_depth()):
        share = settings.layer_decay**depth
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        for vectors, decay in ((False, settings.weight_decay), (True, 0.0)):
            chosen = [p for p in trained if (p.ndim <= 1) == vectors]
            groups.append({"params": chosen, "weight_decay": decay, "share": share})
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, fused=True)


def schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the learning rate at a step: up linearly, then down linearly to 0."""
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / max(steps - rising, 1)


def uses_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bf16: as asked, or where the hardware multiplies it natively.

    Raises:
        ModelError: bf16 is asked for on a processor that would only emulate it.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = torch.cpu.get_capabilities()
        native = bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    if precision == "bf16" and not native:
        raise ModelError(
            "this processor has no bf16 arithmetic", 'Set `precision = "auto"` under [train].'
        )
    return native and precision != "fp32"


def _device(network: Network) -> torch.device:
    return network.head.weight.device
