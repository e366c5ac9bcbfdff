"""The pretraining loop: masked words, large batches, checkpoints that survive ``kill -9``.

AdamW, warm-up, linear decay, bf16 where there is hardware for it, as in RoBERTa (Liu et al.
2019). What is random (order, masks, dropout) is a pure function of the seed and of the step, so
that a run which was killed goes on from its last checkpoint and ends with the same bits on a CPU.
Several devices or machines: start it with ``torchrun`` or ``accelerate launch``; each takes its
share of the batches of a step.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from accelerate import Accelerator
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from emrobust import progress, rng
from emrobust.encoder import masking, objectives, packing
from emrobust.encoder.cooccurrence import WordVectors
from emrobust.encoder.corpus import Corpus
from emrobust.encoder.objectives import Batch, Pretrainer
from emrobust.encoder.packing import Packing
from emrobust.errors import EmrobustError, SourceError
from emrobust.models.dropout import MaskSource
from emrobust.train import checkpoints
from emrobust.train.checkpoints import Snapshot, State
from emrobust.train.loop import uses_bf16
from emrobust.train.pace import Pace

_PREDICTED = 64
_LOOK_EVERY = 50


class Recipe(BaseModel):
    """How to pretrain; the defaults are what learned fastest on two cores (dev/log.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    epochs: int = Field(1, ge=1, description="passes over the corpus")
    steps: int | None = Field(None, ge=1, description="optimizer steps, instead of epochs")
    learning_rate: float = Field(1e-3, gt=0, le=1)
    weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.06, ge=0, lt=1, description="share of the steps")
    clip_norm: float = Field(1.0, gt=0)
    batch_tokens: int = Field(8192, ge=64, description="tokens of a batch, padding included")
    accumulate: int = Field(1, ge=1, description="batches of a step")
    length: int = Field(128, ge=16, le=8192, description="tokens of a row, special ones included")
    packing: Packing = "passages"
    mask_rate: float = Field(0.15, gt=0, lt=1, description="share of tokens that are hidden")
    masking: Literal["rare", "even"] = Field("rare", description="which words are hidden more")
    decay: float = Field(1.0, ge=0, le=1, description="share of the steps in which the rate falls")
    cooccurrence: float = Field(1.0, ge=0, description="weight of the co-occurrence vectors")
    dropout: float = Field(0.0, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    held_out: float = Field(0.005, gt=0, lt=0.5, description="share of rows never trained on")
    evaluations: int = Field(10, ge=1, description="measurements of the held-out perplexity")
    checkpoint_seconds: float = Field(120.0, gt=0)


class Vocabulary(NamedTuple):
    """Numbers of the special tokens."""

    pad: int
    cls: int
    sep: int
    mask: int
    ordinary: tuple[int, int]


@dataclass
class _Run:
    """What the functions below share."""

    pretrainer: Pretrainer
    corpus: Corpus
    vectors: WordVectors | None
    recipe: Recipe
    vocabulary: Vocabulary
    seed: int
    folder: Path
    fingerprint: Mapping[str, Any]
    source: MaskSource
    accelerator: Accelerator = field(
        default_factory=lambda: Accelerator(cpu=not torch.cuda.is_available())
    )
    optimizer: torch.optim.AdamW = field(init=False)
    rows: packing.Rows = field(init=False)
    held_out: np.ndarray = field(init=False)
    trained: np.ndarray = field(init=False)
    hide: np.ndarray = field(init=False)
    plan: list[np.ndarray] = field(default_factory=list)
    steps: int = 0
    bf16: bool = False
    state: State = field(default_factory=State)
    sums: np.ndarray = field(default_factory=lambda: np.zeros(0))
    tokens: int = 0
    measured: tuple[int, float] = (0, 0.0)
    pace: Pace = field(init=False)


History = list[dict[str, float | None]]


def pretrain(
    pretrainer: Pretrainer,
    corpus: Corpus,
    vectors: WordVectors | None,
    recipe: Recipe,
    vocabulary: Vocabulary,
    *,
    seed: int,
    folder: Path,
    fingerprint: Mapping[str, Any],
    source: MaskSource,
    report: Callable[[History], None],
) -> History:
    """Train ``pretrainer`` in place.

    Args:
        pretrainer: the model and its heads.
        corpus: the text.
        vectors: the co-occurrence statistics, if they are an objective.
        recipe: the settings.
        vocabulary: numbers of the special tokens.
        seed: of order and masks.
        folder: for checkpoints; where it holds some, training goes on from there.
        fingerprint: what must be the same for that.
        source: where the model's dropout takes its masks from.
        report: called with the history after each measurement.

    Returns:
        one row a measurement: step, tokens, seconds, mlm, words, passage (training losses since
        the last), perplexity, masked_accuracy (held out), learning_rate, tokens_per_second.

    Raises:
        SourceError: the corpus is too small.
        RunError: the checkpoints are of another training.
        EmrobustError: the loss is no longer a number; the last checkpoint is kept.
    """
    run = _Run(pretrainer, corpus, vectors, recipe, vocabulary, seed, folder, fingerprint, source)
    _prepare(run)
    _resume(run)
    every = max(run.steps // recipe.evaluations, 1)
    total = int(run.rows.lengths[run.trained].mean() * sum(map(len, run.plan)) / len(run.plan))
    per_step = recipe.accumulate * run.accelerator.num_processes
    with progress.track(
        "pretraining", total * (run.steps - run.state.step) * per_step, "tokens"
    ) as advance:
        while run.state.step < run.steps:
            advance(_take_step(run))
            if run.state.step % every == 0 or run.state.step == run.steps:
                _measure(run)
                report(run.state.history)
                _save(run)
            elif run.pace.due:
                _save(run)
    pretrainer.eval()
    return run.state.history


def _prepare(run: _Run) -> None:
    """Rows, the split into trained and held out, the plan of the first epoch, the optimizer."""
    recipe = run.recipe
    run.pace = Pace(recipe.checkpoint_seconds)
    run.pretrainer.to(run.accelerator.device)
    run.optimizer = _optimizer(run.pretrainer, recipe)
    run.bf16 = uses_bf16(recipe.precision, run.accelerator.device)
    run.rows = packing.pack(run.corpus.starts, recipe.packing, recipe.length - 2)
    held = rng.generator(run.seed, "held out").random(len(run.rows.lengths)) < recipe.held_out
    run.held_out, run.trained = np.flatnonzero(held), np.flatnonzero(~held)
    if not held.any() or held.all():
        raise SourceError(
            f"the corpus has {len(held)} rows, too few to hold some out",
            "Give more text: pretraining begins to make sense at some megabytes.",
        )
    run.hide = masking.rates(
        run.corpus.words,
        len(run.corpus.vocabulary),
        recipe.mask_rate,
        even=recipe.masking == "even",
    )
    _begin_epoch(run, 0)
    per_step = recipe.accumulate * run.accelerator.num_processes
    if len(run.plan) < 2 * per_step:
        raise SourceError(
            f"the corpus fits in {len(run.plan)} batch(es) of {recipe.batch_tokens:,} tokens",
            "Give more text, or lower `batch_tokens`.",
        )
    run.steps = recipe.steps or recipe.epochs * (len(run.plan) // per_step)
    run.sums = np.zeros(1 + 2 * run.pretrainer.distils)
    if run.accelerator.num_processes > 1:
        run.pretrainer = run.accelerator.prepare_model(run.pretrainer)


def _begin_epoch(run: _Run, epoch: int) -> None:
    lengths = run.rows.lengths[run.trained] + 2
    plan = packing.plan(lengths, run.recipe.batch_tokens, run.seed, epoch)
    run.plan = [run.trained[batch] for batch in plan]


def _take_step(run: _Run) -> int:
    """Gradients of this process's share of the step, one step of AdamW; tokens read."""
    recipe, state = run.recipe, run.state
    run.pretrainer.train()
    weights = torch.tensor([1.0] + [recipe.cooccurrence] * (len(run.sums) - 1))
    weights = weights.to(run.accelerator.device)
    total = torch.zeros(len(run.sums), device=run.accelerator.device)
    tokens = 0
    shares = list(_share(run))
    for number, (place, rows) in enumerate(shares):
        random = rng.generator(run.seed, "mask", state.epoch, place)
        batch = make_batch(run, rows, run.hide, random)
        run.source.seed(rng.derive(run.seed, "dropout", state.epoch, place))
        tokens += int(batch.mask.sum())
        last = number == len(shares) - 1
        with _synchronise(run, last), _autocast(run):
            losses = run.pretrainer(batch.to(run.accelerator.device))
        ((losses * weights).sum() / len(shares)).backward()
        total += losses.detach() / len(shares)
    nn.utils.clip_grad_norm_(run.pretrainer.parameters(), recipe.clip_norm)
    for group in run.optimizer.param_groups:
        group["lr"] = _rate(run, state.step)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    state.step += 1
    run.sums += total.double().cpu().numpy()
    run.tokens += tokens
    if state.step % _LOOK_EVERY == 0:
        _look(run)
    return tokens


def _share(run: _Run) -> Iterator[tuple[int, np.ndarray]]:
    """This process's batches of the next step, with their place in the epoch's plan."""
    width = run.accelerator.num_processes
    count = run.recipe.accumulate * width
    if run.state.batch + count > len(run.plan):
        run.state.epoch, run.state.batch = run.state.epoch + 1, 0
        _begin_epoch(run, run.state.epoch)
    first = run.state.batch + run.accelerator.process_index
    for place in range(first, run.state.batch + count, width):
        yield place, run.plan[place]
    run.state.batch += count


def make_batch(run: _Run, rows: np.ndarray, hide: np.ndarray, random: np.random.Generator) -> Batch:
    """Rows of the corpus as one padded batch with words hidden.

    Args:
        run: corpus, vectors, rows and vocabulary are read.
        rows: which rows.
        hide: how often each word of the corpus's vocabulary is hidden.
        random: where the draws come from.
    """
    corpus, vocabulary = run.corpus, run.vocabulary
    taken, ordinary = _stretch(run.rows, rows)
    ids = np.where(ordinary, corpus.ids[taken], vocabulary.pad).astype(np.int64)
    lengths = run.rows.lengths[rows]
    ids[:, 0] = vocabulary.cls
    ids[np.arange(len(rows)), lengths + 1] = vocabulary.sep
    words = corpus.words[taken]
    masked = masking.mask_words(
        ids, corpus.begins[taken], ordinary, random,
        rates=hide[words], mask=vocabulary.mask, others=vocabulary.ordinary,
    )  # fmt: skip
    # Rounded up with places that teach nothing, so that few shapes occur.
    found = np.flatnonzero(masked.chosen)
    hidden = np.zeros(-(-max(len(found), 1) // _PREDICTED) * _PREDICTED, np.int64)
    hidden[: len(found)] = found
    answers = np.full(len(hidden), objectives.NOTHING)
    answers[: len(found)] = ids.ravel()[found]
    after = np.minimum(rows + 1, len(run.rows.lengths) - 1)
    next_taken, next_ordinary = _stretch(run.rows, after)
    next_words = np.where(next_ordinary, corpus.words[next_taken], -1)
    return Batch(
        torch.from_numpy(masked.ids),
        torch.from_numpy(np.arange(ids.shape[1])[None] <= lengths[:, None] + 1),
        torch.from_numpy(hidden),
        torch.from_numpy(answers),
        torch.from_numpy(objectives.word_rows(np.where(ordinary, words, -1), run.vectors)),
        torch.from_numpy(objectives.word_rows(next_words, run.vectors)),
    )


def _stretch(rows: packing.Rows, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of tokens in the corpus, and which of them are tokens of the row, with a margin.

    Both [rows, tokens]: the first column and at least the last are left for special tokens.
    """
    lengths = rows.lengths[chosen]
    width = -(-(int(lengths.max()) + 2) // packing.STRIDE) * packing.STRIDE
    places = np.arange(width) - 1
    ordinary = (places >= 0) & (places < lengths[:, None])
    return np.where(ordinary, rows.starts[chosen][:, None] + places, 0), ordinary


def _measure(run: _Run) -> None:
    """Perplexity and accuracy on the held-out rows, always under the same masks."""
    _look(run)
    run.state.seconds += run.pace.lap()
    clocked = run.state.seconds
    pretrainer = run.accelerator.unwrap_model(run.pretrainer).eval()
    lengths = run.rows.lengths[run.held_out] + 2
    # As BERT hides, whatever the recipe says, so that perplexities can be compared.
    even = np.full(len(run.corpus.vocabulary), 0.15, np.float32)
    loss, right, count = 0.0, 0, 0
    for place, batch_rows in enumerate(packing.plan(lengths, run.recipe.batch_tokens, run.seed, 0)):
        random = rng.generator(run.seed, "held-out mask", place)
        batch = make_batch(run, run.held_out[batch_rows], even, random)
        with torch.inference_mode(), _autocast(run):
            more = objectives.accuracy(pretrainer, batch.to(run.accelerator.device))
        loss, right, count = loss + more[0], right + more[1], count + more[2]
    history = run.state.history
    steps = run.state.step - int((history[-1]["step"] if history else 0) or 0)
    tokens, seconds = run.tokens - run.measured[0], clocked - run.measured[1]
    row: dict[str, float | None] = {
        "step": run.state.step,
        "tokens": run.tokens,
        "seconds": clocked,
        **dict(zip(objectives.NAMES, (run.sums / max(steps, 1)).tolist(), strict=False)),
        "perplexity": math.exp(min(loss / max(count, 1), 50.0)),
        "masked_accuracy": right / max(count, 1),
        "learning_rate": _rate(run, run.state.step - 1),
        "tokens_per_second": tokens / max(seconds, 1e-9),
    }
    history.append(row)
    run.sums[:] = 0
    run.state.seconds += run.pace.lap()
    run.measured = (run.tokens, run.state.seconds)


def _rate(run: _Run, step: int) -> float:
    """The learning rate: up, level, and down in the last ``decay`` of the steps."""
    recipe = run.recipe
    rising = max(round(recipe.warmup * run.steps), 1)
    falling = max(round(recipe.decay * (run.steps - rising)), 1)
    return recipe.learning_rate * min((step + 1) / rising, (run.steps - step) / falling, 1.0)


def _look(run: _Run) -> None:
    """Stop on a loss that is not a number, before it gets into a checkpoint."""
    if not np.isfinite(run.sums).all():
        raise EmrobustError(
            f"the loss is not a number any more, at step {run.state.step} of {run.steps}",
            "The last checkpoint is kept. Lower `learning_rate`, or set `precision=fp32`.",
        )


def _save(run: _Run) -> None:
    if not run.accelerator.is_main_process:
        return
    _look(run)
    run.state.seconds += run.pace.lap()
    pretrainer = run.accelerator.unwrap_model(run.pretrainer)
    named = dict(pretrainer.named_parameters())
    extra = {"sums": torch.from_numpy(run.sums.copy()), "tokens": torch.tensor(run.tokens)}
    moments = checkpoints.moments(named, run.optimizer)
    snapshot = Snapshot(run.state, named, {}, moments, extra)
    with run.pace.writing():
        checkpoints.save(run.folder, snapshot, run.fingerprint)


def _resume(run: _Run) -> None:
    snapshot = checkpoints.load(run.folder, run.fingerprint)
    if snapshot is None:
        return
    pretrainer = run.accelerator.unwrap_model(run.pretrainer)
    named = dict(pretrainer.named_parameters())
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(snapshot.weights[name])
    run.state = snapshot.state
    run.tokens = int(snapshot.extra["tokens"])
    run.sums = snapshot.extra["sums"].numpy().copy()
    run.measured = (run.tokens, run.state.seconds)
    checkpoints.restore_moments(named, run.optimizer, snapshot)
    _begin_epoch(run, run.state.epoch)


def _optimizer(pretrainer: Pretrainer, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; biases and norms (vectors) do not decay."""
    parameters = list(pretrainer.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)


def _autocast(run: _Run) -> torch.autocast:
    return torch.autocast(run.accelerator.device.type, torch.bfloat16, enabled=run.bf16)


def _synchronise(run: _Run, last: bool) -> contextlib.AbstractContextManager[None]:
    """Let processes exchange gradients at a step's last batch only."""
    if last or run.accelerator.num_processes == 1:
        return contextlib.nullcontext()
    return cast("contextlib.AbstractContextManager[None]", run.accelerator.no_sync(run.pretrainer))
