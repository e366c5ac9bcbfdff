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

Several processes (`processes`) share the batches of a step; one process that takes as many
batches a step makes the same steps.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from emrobust.config import Train
from emrobust.errors import EmrobustError, ModelError
from emrobust.models.network import Network
from emrobust.train import batches, checkpoints
from emrobust.train.batches import Batch, Tokens
from emrobust.train.checkpoints import Snapshot, State, Tensors
from emrobust.train.losses import Loss
from emrobust.train.pace import Pace
from emrobust.train.processes import Processes
from emrobust.train.steps import Evaluate, Notes, Remembering, Step, clean_step

# How often the loss is looked at: on a GPU each look waits for the device.
_LOOK_EVERY = 50
# So many steps in a row without a number, and it will not come back.
_PATIENCE = 10


class Stream(Protocol):
    """Training texts that differ from epoch to epoch, such as augmented ones."""

    def read(
        self, epoch: int, numbers: Sequence[int], plan: Sequence[np.ndarray]
    ) -> Generator[Tokens, None, None]:
        """The texts of some batches; a function of the arguments, so that training can go on.

        Args:
            epoch: its number.
            numbers: of the batches in the whole training.
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
    processes: Processes
    parts: int
    steps: int
    bf16: bool
    pace: Pace
    total: torch.Tensor
    skipped: torch.Tensor
    in_a_row: torch.Tensor
    longest: torch.Tensor
    notes: Notes = field(default_factory=Notes)
    state: State = field(default_factory=State)
    best: Tensors = field(default_factory=dict)


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
    processes = Processes()
    parts = settings.accumulate * processes.count
    batches_of = [len(_plan(data, settings, seed, epoch)) for epoch in range(settings.epochs)]
    run = _Run(
        network, data, settings, loss, seed, validate, step, folder, fingerprint or {},
        optimizer=_optimizer(network, rate, settings),
        rate=rate,
        processes=processes,
        parts=parts,
        steps=sum(-(-count // parts) for count in batches_of),
        bf16=uses_bf16(settings.precision, _device(network)),
        pace=Pace(settings.checkpoint_seconds),
        total=torch.zeros((), dtype=torch.float64, device=_device(network)),
        skipped=torch.zeros((), device=_device(network)),
        in_a_row=torch.zeros((), device=_device(network)),
        longest=torch.zeros((), device=_device(network)),
    )  # fmt: skip
    _resume(run)
    processes.agree(run.state.step)
    tokens = len(data.tokens.flat) * (settings.epochs - run.state.epoch)
    with processes.track("training", tokens, "tokens") as advance:
        while not run.state.finished:
            started = time.monotonic()
            tokens = 0
            for turn in _rest_of_epoch(run):
                _take_step(run, turn)
                tokens += turn.tokens
                advance(turn.tokens)
            _look(run)  # a GPU may still be at it
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


class _Turn(NamedTuple):
    """A step's batches of this process.

    Attributes:
        batches: by their number within the step.
        total: batches of all processes.
        tokens: of all processes, in the texts as they were written.
        idle: there is none for this process, and the one that it has is not to count.
    """

    batches: Iterator[tuple[int, Batch]]
    total: int
    tokens: int
    idle: bool


def _rest_of_epoch(run: _Run) -> Iterator[_Turn]:
    """The steps that are still to do; between two of them a checkpoint may be written."""
    run.network.train()
    plan = _plan(run.data, run.settings, run.seed, run.state.epoch)
    spans = [
        (start, min(start + run.parts, len(plan)))
        for start in range(run.state.batch, len(plan), run.parts)
    ]
    shares = [run.processes.share(*span) for span in spans]
    # As if the whole epoch had had whole steps: so a batch's number does not depend on restarts.
    first = run.state.step * run.parts - run.state.batch
    with contextlib.closing(
        _read(run, plan, [k for share in shares for k in share], first)
    ) as read:
        for (start, end), share in zip(spans, shares, strict=True):
            tokens = sum(int(run.data.tokens.lengths[rows].sum()) for rows in plan[start:end])
            mine = ((place - start, next(read)) for place in share)
            yield _Turn(mine, end - start, tokens, run.processes.idle(start, end))
            run.state.batch = end
            if run.pace.due:
                _save(run)


def _read(
    run: _Run, plan: Sequence[np.ndarray], places: Sequence[int], first: int
) -> Generator[Batch, None, None]:
    """The batches at these places of the plan, on the device."""
    device = _device(run.network)
    chosen = [plan[place] for place in places]
    with contextlib.closing(_padded(run, chosen, [first + place for place in places])) as padded:
        for rows, (ids, mask) in zip(chosen, padded, strict=True):
            targets = torch.from_numpy(run.data.targets[rows].astype(np.float32))
            yield Batch(*(batches.send(part, device) for part in (ids, mask, targets)))


def _padded(
    run: _Run, plan: Sequence[np.ndarray], numbers: Sequence[int]
) -> Generator[tuple[torch.Tensor, torch.Tensor], None, None]:
    """Token numbers and mask of each batch."""
    if run.data.stream is None:
        for rows in plan:
            yield batches.pad(run.data.tokens, rows, run.network.pad)
        return
    read = run.data.stream.read(run.state.epoch, numbers, plan)
    with contextlib.closing(read):
        for tokens in read:
            yield batches.pad(tokens, np.arange(len(tokens.lengths)), run.network.pad)


def _take_step(run: _Run, turn: _Turn) -> None:
    """Gradients, clipping, one step of AdamW."""
    network, state = run.network, run.state
    loss = _take_turn(run, turn)
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
    if state.step % _LOOK_EVERY == 0 or loss.device.type == "cpu":
        _look(run)


def _take_turn(run: _Run, turn: _Turn) -> torch.Tensor:
    """Let the mean gradients of a step's batches lie in the network; their mean loss."""
    parameters = list(run.network.parameters())
    total = torch.zeros((), device=_device(run.network))
    kept: list[torch.Tensor | None] = [None] * len(parameters)
    for part, batch in turn.batches:
        loss = run.step(run.network, batch, _evaluate(run, batch, part))
        if run.parts == 1:
            return loss
        total = total + loss
        # A sum of batches, not of all their passes: so it has the same bits as if the batches
        # were those of several processes.
        kept = [_sum(one, p.grad) for one, p in zip(kept, parameters, strict=True)]
        run.network.zero_grad(set_to_none=True)
    gradients = [one for one in kept if one is not None]
    if turn.idle:
        for tensor in (total, *gradients):
            tensor.zero_()
    run.processes.add([total, *gradients])
    for parameter, one in zip(parameters, kept, strict=True):
        parameter.grad = None if one is None else one.div_(turn.total)
    return total / turn.total


def _sum(one: torch.Tensor | None, more: torch.Tensor | None) -> torch.Tensor | None:
    if one is None or more is None:
        return more if one is None else one
    return one.add_(more)


def _count(run: _Run, good: torch.Tensor) -> None:
    run.skipped += ~good
    run.in_a_row = torch.where(good, 0.0, run.in_a_row + 1)
    run.longest = torch.maximum(run.longest, run.in_a_row)


def _evaluate(run: _Run, batch: Batch, part: int) -> Evaluate:
    return Evaluate(
        run.network, batch, run.loss, run.seed, run.state.step, run.steps, run.bf16, run.notes,
        part=part, parts=run.parts,
    )  # fmt: skip


def _end_epoch(run: _Run, speed: float) -> None:
    """Validate, keep the best weights, write the history, decide whether to go on."""
    state = run.state
    score = None
    if run.validate is not None:
        run.network.eval()
        with torch.inference_mode(), _autocast(run):
            score = run.processes.ask(partial(run.validate, run.network))
        _judge(run, score)
    count = -(-len(_plan(run.data, run.settings, run.seed, state.epoch)) // run.parts)
    state.seconds += run.pace.lap()
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
    if run.folder is None or not run.processes.leads or run.in_a_row > 0:
        return
    _look(run)
    state = run.state
    state.seconds += run.pace.lap()
    state.loss, state.all_skipped = float(run.total), int(run.skipped)
    state.notes = run.notes.dump()
    moments = checkpoints.moments(dict(run.network.named_parameters()), run.optimizer)
    kept: Tensors = run.step.state() if isinstance(run.step, Remembering) else {}
    snapshot = Snapshot(state, run.network.state_dict(), run.best, moments, kept)
    with run.pace.writing():
        checkpoints.save(run.folder, snapshot, run.fingerprint)


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
