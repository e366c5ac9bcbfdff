"""The toolbox: what, how often, for which record of which epoch.

What needs a model is done once, before the first epoch, for all texts that any epoch will ask for
(`Toolbox.prepare`); rules are applied while training runs (`Toolbox.read`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from emrobust import progress
from emrobust.augment.cache import Cache, key
from emrobust.augment.pool import Pool
from emrobust.augment.rules import Request, Rules, names_for
from emrobust.augment.shares import OF_TEXTS, Draws, Lots, probabilities, share_out
from emrobust.config import Augment
from emrobust.encoder import embedded
from emrobust.errors import ConfigError, ModelError, SourceError

if TYPE_CHECKING:
    from emrobust.augment.back_translation import Translator
    from emrobust.augment.masked_lm import MaskedLM

RULES, BACK_TRANSLATION, MASKED_LM = range(len(OF_TEXTS))
Texts = list[str | None]
# Batches of one request to a worker.
_GROUP = 8
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")


class Toolbox:
    """The augmentation of one training.

    Args:
        settings: the project's ``[augment]``.
        texts: of the training rows, as they were written.
        targets: 0 and 1 [texts, labels].
        seed: of the run.
        batch_size: most texts in a batch.

    Raises:
        ConfigError: a component cannot run here and its share is not to be redistributed, or a
            setting of a perturbation is wrong.
        SourceError: the translation table cannot be read, or has none of the texts.
    """

    def __init__(
        self,
        settings: Augment,
        texts: Sequence[str],
        targets: np.ndarray,
        seed: int,
        *,
        batch_size: int,
    ) -> None:
        self.settings = settings
        self._texts = list(texts)
        self._missing = dict(check_components(settings, batch_size, _language(texts)))
        self._rules: dict[str, Any] = {
            "perturbations": perturbations(settings),
            "at_once": settings.at_once,
            "seed": seed,
        }
        self._masked_lm = self._translator = None
        self._table: dict[str, str] = {}
        self._load_models()
        wanted = {name: float(getattr(settings, name)) for name in (*OF_TEXTS, "mixup")}
        self.shares = share_out(wanted, self._missing, redistribute=settings.redistribute)
        self._check_table()
        chances = probabilities(targets, settings.probability, settings.rare)
        self.lots = Lots(self.shares, chances, settings.variants, seed)
        self._made: dict[tuple[int, int, int], str] = {}
        self.facts: dict[str, Any] = {
            "probability": settings.probability,
            "shares": self.shares,
            "redistributed": {n: why for n, why in self._missing.items() if wanted[n] > 0},
        }

    _masked_lm: MaskedLM | None
    _translator: Translator | None

    def prepare(self, epochs: int) -> None:
        """Let the models do all that these epochs ask for, and note it in ``facts``.

        Raises:
            StorageError: the cache cannot be written.
            RunError: the cache is damaged.
        """
        asked: Counter[str] = Counter()
        pairs: set[tuple[int, int, int]] = set()
        for epoch in range(epochs):
            draws = self.lots.draw(epoch)
            for number in range(len(OF_TEXTS)):
                rows = np.flatnonzero(draws.component == number)
                asked[OF_TEXTS[number]] += len(rows)
                if number != RULES:
                    pairs |= {
                        (number, int(r), self._variant(number, draws.variant[r])) for r in rows
                    }
        self.facts["asked_for"] = dict(asked)
        with Cache(self.settings.cache) as cache:
            self._fill([pair for pair in sorted(pairs) if pair[0] == MASKED_LM], cache)
            self._translate([pair for pair in sorted(pairs) if pair[0] == BACK_TRANSLATION], cache)
        self._masked_lm = self._translator = None  # their memory is free again

    def open(self) -> Pool:
        """The processes that `read` needs."""
        return Pool(self._rules, self.settings.workers if self.shares["rules"] else 0)

    def read(
        self, pool: Pool, epoch: int, numbers: Sequence[int], plan: Sequence[np.ndarray]
    ) -> Iterator[Texts]:
        """The texts of batches; None stands for a text that stays as it was written.

        Args:
            pool: from `open`.
            epoch: its number.
            numbers: of the batches in the whole training.
            plan: the rows of each batch.
        """
        draws = self.lots.draw(epoch)
        wanted = [
            self._rows(draws.component, rows, number)
            for number, rows in zip(numbers, plan, strict=True)
        ]
        # Several batches at once: a process that is woken for each would mostly be woken.
        groups = [wanted[start : start + _GROUP] for start in range(0, len(wanted), _GROUP)]
        answers = pool.answer(self._request(epoch, chain(*group)) for group in groups)
        perturbed = chain.from_iterable(answers)
        for place, (number, rows) in enumerate(zip(numbers, plan, strict=True)):
            of_rules = dict(zip(wanted[place], perturbed, strict=False))
            yield [
                None if self.lots.mixes(number) else self._text(draws, row, of_rules)
                for row in rows.tolist()
            ]

    def _text(self, draws: Draws, row: int, of_rules: Mapping[int, str]) -> str | None:
        component = int(draws.component[row])
        if component == RULES:
            return of_rules[row]
        return self._made.get((component, row, self._variant(component, draws.variant[row])))

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What must be the same for a training to go on; workers and cache may change."""
        return {
            "settings": self.settings.model_dump(mode="json", exclude={"workers", "cache"}),
            "shares": self.shares,
            "answers": self.facts.get("answers"),
        }

    def _rows(self, component: np.ndarray, rows: np.ndarray, number: int) -> list[int]:
        """The rows of a batch that rules perturb."""
        if self.lots.mixes(number):
            return []
        found: list[int] = rows[component[rows] == RULES].tolist()
        return found

    def _request(self, epoch: int, rows: Iterable[int]) -> Request:
        records = list(rows)
        return Request(epoch, records, [self._texts[row] for row in records])

    @staticmethod
    def _variant(component: int, variant: int) -> int:
        """A text has one translation, and several fillings."""
        return int(variant) if component == MASKED_LM else 0

    def _load_models(self) -> None:
        settings = self.settings
        if settings.masked_lm > 0 and "masked_lm" not in self._missing:
            # Late: it loads torch and transformers.
            from emrobust.augment.masked_lm import MaskedLM  # noqa: PLC0415

            try:
                self._masked_lm = MaskedLM(settings.checkpoint, *settings.masked)
            except ModelError as error:
                self._missing["masked_lm"] = error.message
        if settings.back_translation > 0 and "back_translation" not in self._missing:
            self._load_translator()

    def _load_translator(self) -> None:
        from emrobust.augment import back_translation, marian  # noqa: PLC0415 - likewise

        settings = self.settings
        if settings.translations is not None:
            self._table = back_translation.read_table(settings.translations)
        elif settings.there is not None and settings.back is not None:
            try:
                self._translator = marian.Pair(settings.there, settings.back)
            except ModelError as error:
                self._missing["back_translation"] = error.message

    def _check_table(self) -> None:
        """Refuse a table of other texts: it would take its share and change nothing."""
        path = self.settings.translations
        if path is None or not self.shares["back_translation"]:
            return
        if self._table.keys().isdisjoint(self._texts):
            raise SourceError(
                f"the translation table {path} has none of the {len(self._texts):,} training texts",
                "Its `text` must be a whole record as it was prepared: all text fields, joined by"
                " `source.separator`. Or set `augment.back_translation = 0`.",
            )

    def _fill(self, pairs: Sequence[tuple[int, int, int]], cache: Cache) -> None:
        if self._masked_lm is None:
            return
        from emrobust.augment.masked_lm import Job  # noqa: PLC0415 - likewise

        jobs = [Job(self._texts[row], variant) for _, row, variant in pairs]
        with progress.track("filling masked words", len(jobs), "texts") as advance:
            filled = self._masked_lm.fill(jobs, cache, advance)
        changed = {pair: one.text for pair, one in zip(pairs, filled, strict=True) if one.edits}
        self._keep("masked_lm", changed, self._masked_lm.fingerprint, {
            "texts": len(jobs),
            "changed": len(changed),
            "words": sum(len(one.edits) for one in filled),
            "words_refused": sum(len(one.refused) for one in filled),
        })  # fmt: skip

    def _translate(self, pairs: Sequence[tuple[int, int, int]], cache: Cache) -> None:
        if not pairs:
            return
        from emrobust.augment import back_translation  # noqa: PLC0415 - likewise

        texts, least = [self._texts[row] for _, row, _ in pairs], self.settings.bleu
        if self._translator is None:
            done = back_translation.look_up(texts, self._table, bleu=least)
            source = "table"
        else:
            with progress.track("translating there and back", len(texts), "texts") as advance:
                done = back_translation.translate(
                    texts, self._translator, cache, bleu=least, advance=advance
                )
            source = self._translator.fingerprint
        kept = {pair: one.text for pair, one in zip(pairs, done, strict=True) if one.text}
        counted = {"texts": len(texts), **back_translation.count(done)}
        self._keep("back_translation", kept, source, counted)

    def _keep(
        self,
        name: str,
        made: Mapping[tuple[int, int, int], str],
        source: str,
        counted: dict[str, int],
    ) -> None:
        self._made.update(made)
        self.facts[name] = counted
        answers = self.facts.setdefault("answers", {})
        answers[name] = key(source, *(made[pair] for pair in sorted(made)))


def perturbations(settings: Augment) -> list[dict[str, Any]]:
    """What rules choose from, as JSON holds it: what is named, else all that are for Chinese."""
    if settings.perturbations:
        return [one.model_dump(mode="json") for one in settings.perturbations]
    return [{"name": name} for name in names_for("zh")]


def _language(texts: Sequence[str]) -> str:
    """``zh`` where at least half of the texts that say anything hold Chinese, else ``en``."""
    telling = [text for text in texts if text.strip()]
    chinese = sum(_HAN.search(text) is not None for text in telling)
    return "zh" if 2 * chinese >= len(telling) else "en"


def check_components(
    settings: Augment, batch_size: int, language: str
) -> Iterator[tuple[str, str]]:
    """Components that cannot run here, as far as can be told without loading a model.

    Args:
        settings: the project's ``[augment]``.
        batch_size: most texts in a batch.
        language: of the texts, ``zh`` or ``en``.

    Yields:
        its name, and why.

    Raises:
        ConfigError: a perturbation does not exist, or has a wrong setting or a wrong file; only one
            direction of a back-translation is given, or a table as well.
    """
    Rules(perturbations(settings), settings.at_once, 0)
    models = [settings.there, settings.back]
    if (None in models and models != [None, None]) or (
        settings.translations is not None and models != [None, None]
    ):
        raise ConfigError(
            "`augment.there` and `augment.back` belong together, and not beside"
            " `augment.translations`",
            "Give both checkpoints, or the table alone.",
        )
    if settings.translations is None and None in models:
        yield "back_translation", "no translation model and no table is given"
    if language != "zh" and settings.checkpoint == embedded.NAME:
        why = f"`{embedded.NAME}` writes Chinese, and the texts are English"
        yield "masked_lm", f"{why}; set `augment.checkpoint` to a masked LM of theirs"
    if batch_size == 1:
        yield "mixup", "a batch has one text (`train.batch_size = 1`), and MixUp needs two"
