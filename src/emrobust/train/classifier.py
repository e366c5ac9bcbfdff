"""A neural network as a scikit-learn classifier of texts."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import numpy as np
import torch
from pydantic import ValidationError

from emrobust import config, progress, registry, rng, runs
from emrobust.augment.toolbox import Toolbox
from emrobust.errors import ConfigError, ModelError
from emrobust.models import network as networks
from emrobust.models.estimator import Task, TextClassifier, as_texts, plain
from emrobust.models.network import Network
from emrobust.models.thresholds import macro_f1, tune
from emrobust.normalize import Normalizer
from emrobust.train import adversaries, batches, loop, losses
from emrobust.train.augmented import AugmentedTexts
from emrobust.train.batches import Tokens
from emrobust.train.mixup import MixUp
from emrobust.train.processes import Processes
from emrobust.train.steps import Step, clean_step

_DEFAULT = config.Train()
# Prediction keeps no gradients, so its batches may be wider than those of training.
_WIDER = 4
# Of the texts: so many must lose their end before anybody is told.
_MANY = 0.02
HISTORY = "history.json"
AUGMENTATION = "augmentation.json"
S = TypeVar("S", bound=config.Section)


class NeuralClassifier(TextClassifier):
    """Fits a registered network on texts, by the one training loop.

    Args:
        network: registered name: textcnn, bilstm, transformer.
        network_settings: of the network, checked by its signature.
        task: ``auto`` decides by the shape of the targets.
        seed: of weights, batches and dropout.
        classes: the label set and the order of its columns; absent: what the targets hold.
        normalizer: rewrites texts before the model reads them; absent: they are read as written.
        epochs: and all that follow: see `emrobust.config.Train`, where the defaults are.
        learning_rate: absent: the network's own.
        layer_decay: see `config.Train`.
        weight_decay: see `config.Train`.
        warmup: see `config.Train`.
        clip_norm: see `config.Train`.
        batch_size: see `config.Train`.
        batch_tokens: see `config.Train`.
        accumulate: see `config.Train`.
        max_length: see `config.Train`.
        patience: see `config.Train`.
        loss: registered name, or a mapping with ``name`` and the loss's settings; absent: binary
            cross-entropy for multi-label, cross-entropy for single-label.
        label_smoothing: see `config.Train`.
        adversary: registered name, or a mapping with ``name`` and its settings; ``none``: plain
            training; absent: the network's own.
        thresholds: see `config.Train`.
        precision: of training; predictions are computed in fp32 everywhere, so that
            thresholds tuned on one machine hold on another.
        checkpoint_seconds: see `config.Train`.
        augment: settings of `config.Augment`; absent, or of probability 0: texts stay as they
            are. After `fit`, ``augmentation_`` says what was done.
    """

    kind = "neural"

    def __init__(
        self,
        network: str = "textcnn",
        network_settings: Mapping[str, Any] | None = None,
        task: Task = "auto",
        seed: int = 0,
        classes: Sequence[str] | None = None,
        *,
        normalizer: Normalizer | None = None,
        epochs: int = _DEFAULT.epochs,
        learning_rate: float | None = _DEFAULT.learning_rate,
        layer_decay: float = _DEFAULT.layer_decay,
        weight_decay: float = _DEFAULT.weight_decay,
        warmup: float = _DEFAULT.warmup,
        clip_norm: float = _DEFAULT.clip_norm,
        batch_size: int = _DEFAULT.batch_size,
        batch_tokens: int = _DEFAULT.batch_tokens,
        accumulate: int = _DEFAULT.accumulate,
        max_length: int = _DEFAULT.max_length,
        patience: int = _DEFAULT.patience,
        loss: str | Mapping[str, Any] | None = None,
        label_smoothing: float | None = _DEFAULT.label_smoothing,
        adversary: str | Mapping[str, Any] | None = None,
        thresholds: Literal["global", "label"] = _DEFAULT.thresholds,
        precision: Literal["auto", "fp32", "bf16"] = _DEFAULT.precision,
        checkpoint_seconds: float = _DEFAULT.checkpoint_seconds,
        augment: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.network_settings = network_settings
        self.task = task
        self.seed = seed
        self.classes = classes
        self.normalizer = normalizer
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.clip_norm = clip_norm
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.accumulate = accumulate
        self.max_length = max_length
        self.patience = patience
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.adversary = adversary
        self.thresholds = thresholds
        self.precision = precision
        self.checkpoint_seconds = checkpoint_seconds
        self.augment = augment

    def fit(
        self,
        X: Sequence[str],  # noqa: N803  sklearn's name
        y: Any,
        validation: tuple[Sequence[str], Any] | None = None,
        checkpoints: Path | None = None,
    ) -> Self:
        """Train; afterwards ``network_`` is there too. See `TextClassifier.fit`."""
        texts = self._read(X)
        targets = self._learn_targets(texts, y)
        settings = self._train_settings()
        loss, step = self._new_loss(settings, targets), _new_step(settings)
        toolbox = self._new_toolbox(X, targets, settings)
        self.network_ = self._new_network(texts, targets.shape[1])
        if loss.begins_at_base_rate:
            self.network_.set_prior(targets, exclusive=loss.exclusive)
        data = loop.Data(self._tokens(texts), targets)
        self._tell_of_cut_texts(data.tokens.lengths)
        held, validate = (None, None) if validation is None else self._validator(validation)
        with contextlib.ExitStack() as stack:
            if toolbox is not None:
                stream = AugmentedTexts(toolbox, data.tokens, self._encode)
                data = data._replace(stream=stack.enter_context(stream))
                if toolbox.lots.mixed:
                    alpha = toolbox.settings.mixup_alpha
                    step = MixUp(step, chooses=toolbox.lots.mixes, alpha=alpha)
            self.history_ = loop.train(
                self.network_.to(_device()),
                data,
                settings,
                loss=loss.to(_device()),
                step=step,
                seed=self.seed,
                validate=validate,
                folder=checkpoints,
                fingerprint=self._fingerprint(settings, data, held, toolbox),
            )
        self._tune(validation, self.thresholds)
        return self

    def predict_proba(self, X: Sequence[str]) -> np.ndarray:  # noqa: N803  sklearn's name
        """Probabilities, float32 [texts, classes]."""
        self._check_fitted()
        self.network_.eval()
        with torch.inference_mode():
            return self._probabilities(self.network_, self._tokens(self._read(X)))

    def _train_settings(self) -> config.Train:
        """Checked, and with the adversary that is trained with."""
        given = _check(
            config.Train, {name: getattr(self, name) for name in config.Train.model_fields}
        )
        component, own = self._component()
        chosen = adversaries.choose(given.adversary, component.usual_adversary(self.task_, own))
        return given.model_copy(update={"adversary": chosen})

    def _new_loss(self, settings: config.Train, targets: np.ndarray) -> losses.Loss:
        given = settings.loss.model_dump() if settings.loss else None
        smoothing = settings.label_smoothing
        if smoothing is None:
            component, own = self._component()
            smoothing = component.usual_smoothing(self.task_, own) if given is None else 0.0
        return losses.make(self.task_, smoothing, given, targets)

    def _new_network(self, texts: Sequence[str], outputs: int) -> Network:
        """Fresh weights from the seed, without touching PyTorch's global generator."""
        component, settings = self._component()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(rng.derive(self.seed, "weights"))
            return component.new(texts, outputs, settings)

    def _component(self) -> tuple[type[Network], dict[str, Any]]:
        """The network's class and complete settings."""
        component = registry.get("model", self.network)
        if not issubclass(component, Network):
            raise ModelError(
                f"{self.network} is no neural network", "Use its own estimator: `train.build`."
            )
        return component, registry.settings("model", self.network, self.network_settings or {})

    def _new_toolbox(
        self, texts: Sequence[str], targets: np.ndarray, settings: config.Train
    ) -> Toolbox | None:
        """The augmentation, with all done that needs a model; None where it is off."""
        self.augmentation_: dict[str, Any] = {}
        given = _check(config.Augment, self.augment or {})
        if not given.probability:
            return None
        toolbox = Toolbox(
            given, as_texts(texts), targets, self.seed, batch_size=settings.batch_size
        )
        with Processes().first():  # the others find the models' answers in the cache
            toolbox.prepare(settings.epochs)
        self.augmentation_ = toolbox.facts
        return toolbox

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of texts as they were written."""
        return self.network_.encode(self._read(texts), self.max_length)

    def _tokens(self, texts: Sequence[str]) -> Tokens:
        return batches.pack(self.network_.encode(texts, self.max_length))

    def _tell_of_cut_texts(self, lengths: np.ndarray) -> None:
        limit = self.network_.limit(self.max_length)
        full = int((lengths >= limit).sum())
        if full > _MANY * len(lengths) and Processes().leads:
            progress.say(
                f"{full:,} of {len(lengths):,} training texts fill the {limit} tokens that are read"
                " of a text; what stands after them is lost (`train.max_length`)"
            )

    def _validator(
        self, validation: tuple[Sequence[str], Any]
    ) -> tuple[loop.Data, Callable[[Network], float]]:
        """Validation rows, and macro-F1 on them (multi-label: at the best global threshold).

        A threshold a label would make early stopping follow the noise of rare labels.
        """
        texts = self._read(validation[0])
        truth = self._as_matrix(texts, validation[1])
        tokens = self._tokens(texts)

        def validate(network: Network) -> float:
            chances = self._probabilities(network, tokens)
            if self.task_ == "single":
                return macro_f1(truth, np.eye(truth.shape[1], dtype=bool)[chances.argmax(1)])
            return macro_f1(truth, chances >= tune(truth, chances, "global"))

        return loop.Data(tokens, truth), validate

    def _probabilities(self, network: Network, tokens: Tokens) -> np.ndarray:
        device = next(network.parameters()).device
        chances = np.zeros((len(tokens.lengths), network.head.out_features), dtype=np.float32)
        for rows in batches.by_length(
            tokens.lengths,
            batch_size=self.batch_size * _WIDER,
            batch_tokens=self.batch_tokens * _WIDER,
        ):
            ids, mask = batches.pad(tokens, rows, network.pad)
            logits = network(batches.send(ids, device), batches.send(mask, device)).float()
            single = self.task_ == "single"
            chances[rows] = (logits.softmax(-1) if single else logits.sigmoid()).cpu().numpy()
        return chances

    def _fingerprint(
        self,
        settings: config.Train,
        data: loop.Data,
        held: loop.Data | None,
        toolbox: Toolbox | None,
    ) -> dict[str, Any]:
        """What must be unchanged for a training to go on; the pace of checkpoints may change."""
        return {
            "settings": settings.model_dump(mode="json", exclude={"checkpoint_seconds"}),
            "network": self.network,
            "network settings": self.network_.settings,
            "seed": self.seed,
            "processes": Processes().count,
            "augmentation": toolbox and toolbox.fingerprint,
            "bf16": loop.uses_bf16(settings.precision, _device()),
            "training data": _digest(data.tokens.flat, data.tokens.starts, data.targets),
            "validation data": held and _digest(held.tokens.flat, held.tokens.starts, held.targets),
        }

    def _save_parts(self, folder: Path) -> None:
        (folder / "network").mkdir()
        self.network_.save(folder / "network")
        runs.write_json(folder / HISTORY, self.history_)
        runs.write_json(folder / AUGMENTATION, self.augmentation_)

    def _load_parts(self, folder: Path) -> None:
        self.network_ = networks.load(folder / "network").to(_device())
        self.history_ = runs.read_json(folder / HISTORY)
        self.augmentation_ = runs.read_json(folder / AUGMENTATION)


def _check(section: type[S], values: Mapping[str, Any]) -> S:
    """Settings as a section of the project file checks them.

    Raises:
        ConfigError: names each wrong one.
    """
    try:
        return section.model_validate(plain(values))
    except ValidationError as error:
        problems = [f"`{e['loc'][0]}`: {e['msg']}" for e in error.errors(include_input=False)]
        raise ConfigError(f"the settings are wrong: {'; '.join(problems)}") from None


def _new_step(settings: config.Train) -> Step:
    """The adversary, with nothing kept from another training; absent: a clean step."""
    if settings.adversary is None:
        return clean_step
    return adversaries.make(settings.adversary.model_dump())


def _device() -> torch.device:
    return Processes().device


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
