"""From text files to a pretrained encoder: tokenizer, corpus, word vectors, training, card.

Everything unfinished lies in ``work/`` inside the output folder and goes away at the end, the
tokenised text with it. What stays is ``encoder/`` (an ordinary checkpoint folder), ``log.json``
and ``curve.svg``.
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import torch
from accelerate import PartialState
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors.numpy import load_file, save_file
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from emrobust import rng, runs
from emrobust.encoder import checkpoint, cooccurrence, corpus, packing, tokenizer
from emrobust.encoder.cooccurrence import WordVectors
from emrobust.encoder.corpus import Corpus
from emrobust.encoder.objectives import Pretrainer
from emrobust.errors import ConfigError, InputError, ModelError, did_you_mean
from emrobust.models import attention
from emrobust.models.dropout import MaskSource
from emrobust.models.network import save_weights
from emrobust.models.transformer import room
from emrobust.pipeline import provenance
from emrobust.report import plot
from emrobust.train import pretraining
from emrobust.train.pretraining import History, Recipe, Vocabulary

ENCODER, LOG, CURVE, WORK = "encoder", "log.json", "curve.svg", "work"
_DROPOUTS = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout",
    "embedding_dropout", "mlp_dropout",
)  # fmt: skip
# Tokens of the shortest rows that something can be learned from.
_SHORTEST = 16
_CHANGEABLE = ("epochs", "steps", "decay", "evaluations", "checkpoint_seconds")


class Architecture(BaseModel):
    """The shape of an encoder that begins from nothing: a plain BERT."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    layers: int = Field(4, ge=1, le=48)
    width: int = Field(256, ge=16, le=4096)
    heads: int = Field(4, ge=1)
    feed_forward: int = Field(1024, ge=16)
    positions: int = Field(512, ge=32, le=8192)
    pieces: int = Field(1500, ge=64, description="word pieces for Latin words")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError("`width` must be a multiple of `heads`")
        return self


class Settings(NamedTuple):
    """What ``--set`` can change."""

    architecture: Architecture
    recipe: Recipe


def read_settings(assignments: Sequence[str], *, continued: bool) -> Settings:
    """Settings from ``KEY=VALUE`` words.

    Args:
        assignments: values as TOML writes them; bare words are strings.
        continued: an existing checkpoint is trained on: its architecture is given, its learning
            rate is a tenth, and word vectors are no objective unless asked for.

    Raises:
        ConfigError: all wrong keys and values at once.
    """
    known = {**Recipe.model_fields, **({} if continued else Architecture.model_fields)}
    values: dict[str, Any] = {"learning_rate": 1e-4, "cooccurrence": 0.0} if continued else {}
    problems = []
    for assignment in assignments:
        key, found, value = assignment.partition("=")
        if not found or key not in known:
            problems.append(f"`{key}` is no setting of pretraining. {did_you_mean(key, known)}")
            continue
        values[key] = _value(value)
    made: list[Any] = []
    for section in (Architecture, Recipe):
        try:
            made.append(section(**{k: v for k, v in values.items() if k in section.model_fields}))
        except ValidationError as error:
            problems += [
                f"`{e['loc'][0]}`: {e['msg'].removeprefix('Value error, ')}."
                if e["loc"]
                else f"{e['msg'].removeprefix('Value error, ')}."
                for e in error.errors(include_input=False)
            ]
    if problems:
        raise ConfigError("\n".join(["the settings are wrong:", *(f"  - {p}" for p in problems)]))
    return Settings(*made)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def pretrain(
    sources: Sequence[Path], out: Path, assignments: Sequence[str] = (), *,
    start: str | None = None, deidentified: bool = False, half: bool = False, seed: int = 20260101,
    today: dt.date | None = None,
) -> History:  # fmt: skip
    """Pretrain an encoder on text, or go on with it where it was killed.

    Args:
        sources: text files (a passage a line; plain, .gz, .xz) or folders of prepared records.
        out: folder to write.
        assignments: settings, ``KEY=VALUE``.
        start: a checkpoint (folder or name) to continue from, with its own tokenizer.
        deidentified: the user says that no text names a person; a folder that went through
            de-identification shows it by itself.
        half: write the weights as float16.
        seed: of weights, order and masks.
        today: the day on which data-use records of folders must still hold; absent: this machine's.

    Raises:
        ConfigError: a data-use record is over.
        InputError: the text may name persons, or sources, settings or checkpoint are wrong.
        StorageError: the disk is full; the last checkpoint is kept.
    """
    settings = read_settings(assignments, continued=start is not None)
    traced = provenance.trace(sources, deidentified=deidentified, today=today)
    work = out / WORK
    if (out / ENCODER).exists() and not work.exists():
        raise InputError(f"{out / ENCODER} is already there", "Give another folder with --out.")
    torch.manual_seed(rng.derive(seed, "weights"))
    # On a GPU machine torchrun gives each process its own; elsewhere they share the processor.
    processes = PartialState(cpu=not torch.cuda.is_available())
    with processes.main_process_first():
        words = _tokenizer(sources, start, settings.architecture, work)
        text = corpus.build(sources, words.backend_tokenizer, work / "corpus")
        vectors = _vectors(text, work, seed) if settings.recipe.cooccurrence else None
    model, dropouts = _model(start, settings, words)
    recipe = _fit(settings.recipe, model)
    facts = {
        "settings": {**settings.architecture.model_dump(), **recipe.model_dump()},
        "start": start,
        "sources": [runs.checksum(source) for source in sources if source.exists()],
        "seed": seed,
        "text": [of._asdict() for of in traced],
    }
    masks = MaskSource()
    attention.adopt(cast("PreTrainedModel", model.base_model), masks)
    pretrainer = Pretrainer(model, vectors)

    def report(history: History) -> None:
        """Log, curve and the encoder as it is now: usable before the end."""
        if not processes.is_main_process:
            return
        runs.write_json(out / LOG, {"facts": facts, "history": history})
        runs.write_text(out / CURVE, draw(history))
        if start is None:
            _repeat_positions(model, recipe.length)
        config = copy.deepcopy(model.config)
        config.update(dropouts)
        text_of_card = card(facts, history, text, model, provenance.describe(traced))
        _write(out / ENCODER, model, config, words, text_of_card, half=half)

    history = pretraining.pretrain(
        pretrainer, text, vectors, recipe, _numbers(words), seed=seed,
        folder=work / "checkpoints", fingerprint=_fingerprint(facts), source=masks, report=report,
    )  # fmt: skip
    processes.wait_for_everyone()
    if processes.is_main_process:
        shutil.rmtree(work)
    return history


def _tokenizer(
    sources: Sequence[Path], start: str | None, shape: Architecture, work: Path
) -> PreTrainedTokenizerFast:
    if start is not None:
        found = checkpoint.read_tokenizer(checkpoint.locate(start))
        if getattr(found, "backend_tokenizer", None) is None or found.mask_token_id is None:
            raise ModelError(
                f"the tokenizer of {start} has no fast version or no mask token",
                "Choose a checkpoint that was trained by masked language modelling.",
            )
        return cast("PreTrainedTokenizerFast", found)
    folder = work / "tokenizer"
    if not folder.is_dir():
        learned = tokenizer.learn(corpus.read(sources), pieces=shape.pieces)
        with runs.atomic_folder(folder) as partial:
            tokenizer.save(learned, partial, shape.positions)
    return cast("PreTrainedTokenizerFast", AutoTokenizer.from_pretrained(folder))


def _vectors(text: Corpus, work: Path, seed: int) -> WordVectors:
    """Counted once and kept, so that a restart goes on with the same bits."""
    path = work / "vectors.safetensors"
    if not path.is_file():
        learned = cooccurrence.learn(text, seed=rng.derive(seed, "vectors") % 2**32)
        with runs.atomic_file(path) as partial:
            save_file(learned._asdict(), partial)
    return WordVectors(**load_file(path))


def _model(
    start: str | None, settings: Settings, words: PreTrainedTokenizerFast
) -> tuple[PreTrainedModel, dict[str, float]]:
    """The model with the recipe's dropout, and the rates that its configuration had."""
    if start is None:
        shape = settings.architecture
        config: PretrainedConfig = BertConfig(
            vocab_size=-(-len(words) // 8) * 8,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.feed_forward,
            max_position_embeddings=shape.positions,
            pad_token_id=words.pad_token_id,
        )
    else:
        config = checkpoint.read_config(checkpoint.locate(start))
    rates = {name: getattr(config, name) for name in _DROPOUTS if hasattr(config, name)}
    config.update(dict.fromkeys(rates, settings.recipe.dropout))
    if start is None:
        return AutoModelForMaskedLM.from_config(config), rates  # type: ignore[no-untyped-call]
    folder = checkpoint.locate(start)
    checkpoint.read_encoder(folder, config)  # says what is wrong with it, if anything is
    model: PreTrainedModel = AutoModelForMaskedLM.from_pretrained(
        folder, config=config, use_safetensors=True, local_files_only=True, dtype="float32"
    )
    return model, rates


def _fit(recipe: Recipe, model: PreTrainedModel) -> Recipe:
    """The recipe with rows no longer than the model has positions for.

    Raises:
        ModelError: it has too few for any row.
    """
    # Batches are padded to multiples of the stride.
    padded = -(-recipe.length // packing.STRIDE) * packing.STRIDE
    places = room(model, padded) // packing.STRIDE * packing.STRIDE
    if places < _SHORTEST:
        raise ModelError(
            f"the checkpoint has positions for rows of {places} tokens",
            f"Choose one with positions for {_SHORTEST} at least.",
        )
    return recipe.model_copy(update={"length": min(recipe.length, places)})


def _numbers(words: PreTrainedTokenizerFast) -> Vocabulary:
    special = max(number for number in words.all_special_ids)
    pad, cls, sep, mask = (
        int(getattr(words, f"{name}_token_id")) for name in ("pad", "cls", "sep", "mask")
    )
    # Ordinary tokens lie after the special ones where those come first, else anywhere.
    first = special + 1 if special < len(words) // 2 else 0
    return Vocabulary(pad, cls, sep, mask, (first, len(words)))


@torch.no_grad()
def _repeat_positions(model: PreTrainedModel, length: int) -> None:
    """Give positions that no row reached the embeddings of those that rows did."""
    table = model.get_parameter("bert.embeddings.position_embeddings.weight")
    reached = min(length, len(table))
    for place in range(reached, len(table)):
        table[place] = table[1 + (place - 1) % (reached - 1)]


def _write(
    folder: Path, model: PreTrainedModel, config: PretrainedConfig,
    words: PreTrainedTokenizerFast, text: str, *, half: bool,
) -> None:  # fmt: skip
    """Weights (tied ones once), configuration, tokenizer, card: all or nothing."""
    kind = torch.float16 if half else torch.float32
    tensors = {name: value.detach().to(kind) for name, value in model.named_parameters()}
    config.update({"architectures": [type(model).__name__], "dtype": str(kind).split(".")[1]})
    with runs.atomic_folder(folder) as partial:
        save_weights(tensors, partial / "model.safetensors")
        config.save_pretrained(partial)
        words.save_pretrained(partial)
        runs.write_text(partial / "README.md", text)


def _fingerprint(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a restart must share with the run it goes on with, each fact by its name.

    How long it lasts is left out: a run may be told to end sooner or later.
    """
    settings = {k: v for k, v in facts["settings"].items() if k not in _CHANGEABLE}
    named = {**settings, **{key: facts[key] for key in ("start", "sources", "seed")}}
    return {
        key: hashlib.sha256(repr(value).encode()).hexdigest()[:16] for key, value in named.items()
    }


def card(
    facts: Mapping[str, Any], history: History, text: Corpus, model: PreTrainedModel, origin: str
) -> str:
    """The model card of a checkpoint, as far as the command knows the facts."""
    last = history[-1]
    size = sum(parameter.numel() for parameter in model.parameters())
    rows = "\n".join(
        f"| {row['step']:,.0f} | {row['tokens'] or 0:,.0f} | {(row['seconds'] or 0) / 60:.1f} |"
        f" {row['perplexity']:.1f} | {row['masked_accuracy']:.3f} |"
        for row in history
    )
    versions = ", ".join(f"{name} {value}" for name, value in runs.environment().items())
    settings = "\n".join(f"- `{key} = {value}`" for key, value in facts["settings"].items())
    return f"""# Pretrained encoder

{size:,} parameters, {model.config.model_type}, pretrained by `emrobust pretrain` on
{len(text.starts) - 1:,} passages ({int(text.starts[-1]):,} tokens)\
{f", continued from {facts['start']}" if facts["start"] else ""}.

Held out: perplexity of masked words {last["perplexity"]:.1f}, masked accuracy \
{last["masked_accuracy"]:.1%}.

| step | tokens read | minutes | perplexity | masked accuracy |
|---|---|---|---|---|
{rows}

{origin}

Settings:

{settings}

Made with {versions}.
"""


def draw(history: History) -> str:
    """Held-out perplexity against minutes, as SVG."""
    minutes = [(row["seconds"] or 0.0) / 60 for row in history]
    values = [row["perplexity"] or 1.0 for row in history]
    panel = plot.Panel(
        plot.linear("minutes", 0, max(minutes)),
        plot.logarithmic("perplexity", min(values), max(values)),
    )
    parts = [plot.frame(panel), plot.line(panel, minutes, values, plot.BLUE)]
    parts += [
        plot.dot(*panel.at(x, y), plot.BLUE, tip=f"{x:.1f} min: {y:.1f}")
        for x, y in zip(minutes, values, strict=True)
    ]
    return plot.svg(
        parts,
        title="Held-out perplexity of masked words",
        description="Perplexity against minutes of pretraining",
        height=panel.top + panel.height + 44,
    ).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
