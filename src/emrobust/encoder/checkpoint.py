"""Find an encoder in the package, a folder or on the hub, and say early why it cannot be used.

Only safetensors are read: a pickle can run code when it is opened. For the same reason code that
lies beside the weights is never run; the architecture has to be one of transformers' own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.utils import logging

from emrobust.encoder import embedded
from emrobust.errors import ModelError

_PATTERNS = ["*.json", "*.txt", "*.model", "*.spm", "*.safetensors"]
_SECONDS = 5.0
# Encoders round their tables up and leave a few rows free; a tokenizer that leaves more of them
# unused belongs to another encoder.
_UNUSED = 0.1
# Nothing is asked of the network, and no code of a checkpoint's own is run.
_SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
ENDPOINT = os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def locate(checkpoint: str) -> Path:
    """The folder of a checkpoint: in the package, as given, in the hub's cache, or downloaded.

    Args:
        checkpoint: ``emrobust/zh-small``, a folder, or a hub name such as ``hfl/rbt3``.

    Raises:
        ModelError: there is no such folder, or the hub cannot be reached or has no such name.
    """
    if checkpoint.startswith(embedded.PUBLISHER):
        return embedded.folder(checkpoint)
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return folder
    if checkpoint.count("/") > 1 or checkpoint.startswith((".", "/", "~")):
        raise ModelError(
            f"the checkpoint folder {checkpoint} does not exist",
            "Give the folder that holds config.json, or a hub name such as bert-base-chinese.",
        )
    with contextlib.suppress(LocalEntryNotFoundError):
        cached = snapshot_download(checkpoint, allow_patterns=_PATTERNS, local_files_only=True)
        # Another program may have left the configuration there alone.
        if any(Path(cached).glob("*.safetensors")):
            return Path(cached)
    return _download(checkpoint)


def files(folder: Path) -> list[Path]:
    """What makes up a checkpoint in its folder: configuration, tokenizer and weights."""
    return sorted(path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file())


def _download(name: str) -> Path:
    how = (
        f"On a machine with network run `hf download {name}`, copy the folder here and give its"
        " path as `checkpoint`."
    )
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in {"1", "ON", "YES", "TRUE"}:
        raise ModelError(f"{name} is not on this machine and HF_HUB_OFFLINE is set", how)
    try:
        # One short question first: a download without network retries for minutes.
        info = HfApi(ENDPOINT).model_info(name, timeout=_SECONDS)
        if any(file.rfilename.endswith(".safetensors") for file in info.siblings or ()):
            return Path(snapshot_download(name, allow_patterns=_PATTERNS, endpoint=ENDPOINT))
    except RepositoryNotFoundError:
        raise ModelError(f"the hub has no public model called {name!r}", how) from None
    except Exception as error:
        # The hub's client changes its network library, and with it these exceptions.
        raise ModelError(
            f"{name} is not on this machine and the hub does not answer ({type(error).__name__})",
            how,
        ) from None
    raise _pickle_only(
        name,
        f"If you trust its source: `hf download {name} --local-dir DOWNLOADED`, then"
        " `emrobust convert DOWNLOADED --out FOLDER`, and give FOLDER as `checkpoint`.",
    )


def _pickle_only(where: str, how: str) -> ModelError:
    return ModelError(
        f"{where} has its weights as pickle only, which could run code when opened", how
    )


def read(folder: Path) -> tuple[Any, PreTrainedModel]:
    """Tokenizer and encoder of a checkpoint, the encoder in float32 and without its pooler.

    Raises:
        ModelError: a file is missing, damaged, a pickle, of no text encoder, or tokenizer and
            encoder do not belong together.
    """
    config = read_config(folder)
    tokenizer = read_tokenizer(folder)
    tokens, rows = len(tokenizer), int(config.vocab_size)
    if not rows * (1 - _UNUSED) <= tokens <= rows:
        raise ModelError(
            f"the tokenizer in {folder} has {tokens} tokens and the encoder {rows}",
            "They are of different checkpoints; copy the whole folder again.",
        )
    return tokenizer, without_pooler(read_encoder(folder, config))


def read_config(folder: Path) -> PretrainedConfig:
    """The configuration of an encoder.

    Raises:
        ModelError: it is missing, unreadable, or not of a text encoder.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder} has no config.json", "Give the folder that save_pretrained wrote."
        )
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, **_SAFE)
    except (ValueError, OSError, KeyError):
        raise ModelError(
            f"{folder / 'config.json'} is not a configuration that transformers knows",
            "Is `model_type` there, and is the architecture part of transformers itself?",
        ) from None
    kind = config.model_type
    if config.is_encoder_decoder or kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise ModelError(
            f"{folder} is a {kind!r} model, which is no text encoder",
            "Choose one of the BERT, RoBERTa, ELECTRA or ModernBERT kind.",
        )
    return config


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer of a checkpoint.

    Raises:
        ModelError: its files are missing or it cannot pad.
    """
    names = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")
    if not any((folder / name).is_file() for name in names):
        raise ModelError(
            f"{folder} has no tokenizer", f"One of {', '.join(names)} must lie beside config.json."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **_SAFE)
    except (ValueError, OSError, KeyError):
        raise ModelError(
            f"the tokenizer in {folder} cannot be read",
            "Copy the whole folder again, or save the tokenizer with save_pretrained.",
        ) from None
    if tokenizer.pad_token_id is None:
        raise ModelError(f"the tokenizer in {folder} has no padding token")
    return tokenizer


def read_encoder(folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    """The encoder with its weights in float32, whatever they are stored in.

    Raises:
        ModelError: the weights are missing, a pickle, damaged or of another architecture.
    """
    if not any(folder.glob("*.safetensors")):
        if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
            raise _pickle_only(
                str(folder),
                f"If you trust its source: `emrobust convert {folder} --out FOLDER`, and give"
                " FOLDER as `checkpoint`.",
            )
        raise ModelError(f"{folder} has no model.safetensors", "Copy the whole folder again.")
    try:
        # A pooler that the file lacks is filled at random, and dropped again.
        with quiet(), torch.random.fork_rng(devices=[]):
            encoder, report = AutoModel.from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                dtype="float32",
                output_loading_info=True,
                **_SAFE,
            )
    except Exception as error:
        # Whatever the reader raises on a damaged file, the message may not hold its content.
        raise ModelError(
            f"the weights in {folder} cannot be read ({type(error).__name__})",
            "Copy the whole folder again.",
        ) from None
    missing = [name for name in report["missing_keys"] if "pooler" not in name]
    if missing or report.get("mismatched_keys"):
        raise ModelError(
            f"{folder} lacks {len(missing)} weights of its architecture, the first {missing[:1]}",
            "config.json and model.safetensors are of different models.",
        )
    found: PreTrainedModel = encoder
    return found


def read_masked_lm(folder: Path) -> tuple[Any, PreTrainedModel]:
    """Tokenizer and masked language model of a checkpoint, in float32 and not in training.

    Raises:
        ModelError: as `read` does; or there is no masked-LM head, no [MASK] or no fast tokenizer.
    """
    tokenizer, _ = read(folder)
    if tokenizer.mask_token_id is None or not tokenizer.is_fast:
        raise ModelError(
            f"the tokenizer in {folder} has no mask token, or does not say where tokens stand",
            "Choose a checkpoint of a masked language model with a tokenizer.json.",
        )
    with quiet(), torch.random.fork_rng(devices=[]):
        model, report = AutoModelForMaskedLM.from_pretrained(
            folder, use_safetensors=True, dtype="float32", output_loading_info=True, **_SAFE
        )
    if report["missing_keys"]:
        raise ModelError(
            f"{folder} holds an encoder without its masked-LM head",
            "Choose the checkpoint as it was pretrained, such as emrobust/zh-small.",
        )
    found: PreTrainedModel = model.eval()
    return tokenizer, found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bar and its table of the heads that are left out on purpose."""
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers' own
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # likewise
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # likewise


def without_pooler(encoder: PreTrainedModel) -> PreTrainedModel:
    """Drop the next-sentence layer where there is one: it was trained for another task."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # type: ignore[assignment]  # modules may be absent
    return encoder


def empty_encoder(folder: Path) -> PreTrainedModel:
    """The architecture of a saved folder with arbitrary weights."""
    config = read_config(folder)
    with torch.random.fork_rng(devices=[]):
        encoder: PreTrainedModel = AutoModel.from_config(config, dtype="float32")  # type: ignore[no-untyped-call]
    return encoder
