"""Fills words by a masked language model: what it finds likeliest beside the word that stood there.

The seed, 3.3.1: 10 to 15 % of the words, the first answer. A model that is free to choose writes
another finding there (咳嗽 → 鼻涕), and no list of findings is complete. So only words that tell
nothing of a patient are hidden (``tables/wording.toml``; some 6 % of a clinic note's words, 14 % of
what patients write themselves), where there are fewer all of them, and in the place of each the
likeliest other word of its group is written. The guards judge that too. Which words of a text are
hidden depends on the text and the variant's number only, so that what is paid for once serves
every run.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch
from torch import nn

from emrobust import rng, runs
from emrobust.augment import terms
from emrobust.augment.cache import Cache, key
from emrobust.encoder import checkpoint, words
from emrobust.encoder.objectives import masked_lm_head
from emrobust.errors import ConfigError
from emrobust.perturb import Edit, Perturbation, Perturbed, apply, perturb, protected

TABLE = Path(__file__).parent / "tables" / "wording.toml"
_ANY_WORD = re.compile(r"\w")
# Texts of one transaction, and tokens of one pass.
_CHUNK = 1024
_TOKENS = 8192
_LONGEST = 512
_VERSION = 3


class Job(NamedTuple):
    """A text to fill.

    Attributes:
        text: as it was written.
        variant: number of the answer; another number hides other words.
    """

    text: str
    variant: int


class Place(NamedTuple):
    """A hidden word.

    Attributes:
        start: offset of its first character.
        end: offset behind its last.
        tokens: positions of its tokens in the row.
    """

    start: int
    end: int
    tokens: list[int]


# Token numbers of a text, and the places to hide in it.
Row = tuple[list[int], list[Place]]


class MaskedLM:
    """Fills words of texts.

    Args:
        name: of a checkpoint with its masked-LM head: ``emrobust/zh-small``, a folder, a hub name.
        least: smallest share of a text's words that is hidden.
        most: largest share.

    Raises:
        ConfigError: the shares are not in order between 0 and 1.
        ModelError: the checkpoint cannot be found or used.
    """

    def __init__(self, name: str, least: float = 0.10, most: float = 0.15) -> None:
        if not 0 < least <= most <= 1:
            raise ConfigError(
                f"the shares of masked words are {least} and {most}",
                "Give two numbers above 0 and at most 1, the smaller first, such as [0.1, 0.15].",
            )
        folder = checkpoint.locate(name)
        self._tokenizer, model = checkpoint.read_masked_lm(folder)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model
        nn.Module.to(model, self._device)
        self._head = masked_lm_head(self._model)
        self._least, self._most = least, most
        self._answers = _answers(self._tokenizer, int(model.config.vocab_size))
        room = getattr(model.config, "max_position_embeddings", _LONGEST)
        self._room = min(_LONGEST, room - 2)
        self.fingerprint = key("masked_lm", _VERSION, runs.checksum(folder), f"{least}-{most}")

    def fill(
        self, jobs: Sequence[Job], cache: Cache, advance: Callable[[int], None] = lambda _: None
    ) -> list[Perturbed]:
        """The texts with some words filled, those edits left out that the guards refuse.

        Args:
            jobs: of any number.
            cache: where answers are taken from and kept.
            advance: is told how many more are done.
        """
        keys = [key(self.fingerprint, job.variant, job.text) for job in jobs]
        # The order does not depend on what is known already: nor, then, do the answers.
        first = dict(zip(keys, jobs, strict=True))
        order = sorted(first, key=lambda name: (-len(first[name].text), name))
        found: dict[str, list[Any]] = {}
        for start in range(0, len(order), _CHUNK):
            chunk = order[start : start + _CHUNK]
            known = cache.find(chunk)
            if len(known) < len(chunk):
                made = self._propose([first[name] for name in chunk])
                fresh = {n: e for n, e in zip(chunk, made, strict=True) if n not in known}
                cache.add(fresh)
                known.update(fresh)
            found.update(known)
            advance(len(chunk))
        return [
            judge(job.text, [Edit(*edit) for edit in found[name]])
            for name, job in zip(keys, jobs, strict=True)
        ]

    def choose(self, job: Job) -> list[tuple[int, int]]:
        """Spans of the words to hide, ascending."""
        free, count = candidates(job.text)
        random = Random(rng.derive(job.variant, "masked_lm", job.text))  # noqa: S311 - no secret hangs on it
        wanted = max(1, round(random.uniform(self._least, self._most) * count))
        return sorted(random.sample(free, min(wanted, len(free))))

    def _propose(self, jobs: Sequence[Job]) -> list[list[Edit]]:
        """Edits of each text, in batches of about one length."""
        proposed: list[list[Edit]] = [[] for _ in jobs]
        chosen = [self.choose(job) for job in jobs]
        rows = [row for row, spans in enumerate(chosen) if spans]
        if not rows:
            return proposed
        encoded = self._tokenizer(
            [jobs[row].text for row in rows],
            truncation=True,
            max_length=self._room,
            return_offsets_mapping=True,
        )
        ids: dict[int, list[int]] = dict(zip(rows, encoded["input_ids"], strict=True))
        places: dict[int, list[Place]] = {}
        for row, offsets in zip(rows, encoded["offset_mapping"], strict=True):
            places[row] = [
                place
                for place in find_tokens(chosen[row], offsets)
                if self._others(jobs[row].text[place.start : place.end], len(place.tokens))
            ]
        for batch in _batches([row for row in rows if places[row]], ids):
            texts = [jobs[row].text for row in batch]
            given = [(ids[row], places[row]) for row in batch]
            for row, edits in zip(batch, self._ask(texts, given), strict=True):
                proposed[row] = edits
        return proposed

    @torch.inference_mode()
    def _ask(self, texts: Sequence[str], given: Sequence[Row]) -> list[list[Edit]]:
        """Edits for a batch of token rows with the places to hide."""
        ids, mask = self._pad(given)
        width, flat = ids.shape[1], ids.view(-1)
        at = [
            number * width + token
            for number, (_, places) in enumerate(given)
            for place in places
            for token in place.tokens
        ]
        flat[at] = self._tokenizer.mask_token_id
        logits = iter(self._predict(ids, mask, torch.tensor(at)))
        edits: list[list[Edit]] = []
        for text, (_, places) in zip(texts, given, strict=True):
            answers = [
                (place, torch.stack(list(islice(logits, len(place.tokens))))) for place in places
            ]
            edits.append([
                Edit(place.start, place.end, self._write(text[place.start : place.end], of_word))
                for place, of_word in answers
            ])  # fmt: skip
        return edits

    def _pad(self, given: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token numbers and mask, int64 [rows, tokens]."""
        width = max(len(row) for row, _ in given)
        ids = torch.full((len(given), width), self._tokenizer.pad_token_id)
        mask = torch.zeros((len(given), width), dtype=torch.long)
        for number, (row, _) in enumerate(given):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        return ids, mask

    def _predict(self, ids: torch.Tensor, mask: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """Logits at some flat positions, float32 [positions, vocabulary]."""
        states = self._model.base_model(
            input_ids=ids.to(self._device), attention_mask=mask.to(self._device)
        ).last_hidden_state
        logits: torch.Tensor = self._head(states.flatten(0, 1)[at.to(self._device)])
        return logits.float().cpu()

    def _others(self, word: str, count: int) -> list[tuple[str, list[int]]]:
        """What may stand for a word in so many tokens: words with their tokens' numbers."""
        word = word.lower()
        return [
            (other, numbers)
            for other in groups()[word]
            if other != word
            for numbers in self._answers[other]
            if len(numbers) == count
        ]

    def _write(self, word: str, logits: torch.Tensor) -> str:
        """The likeliest other word of its group in as many tokens.

        Args:
            word: what stood there; there is another.
            logits: of its tokens [tokens, vocabulary].
        """
        likely, at = logits.log_softmax(1), range(len(logits))
        return max(
            self._others(word, len(logits)), key=lambda other: float(likely[at, other[1]].sum())
        )[0]


@functools.lru_cache(maxsize=1)
def groups() -> Mapping[str, tuple[str, ...]]:
    """Words that tell nothing → all words of their group."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {
        word: tuple(group)
        for language in table.values()
        for group in language.values()
        for word in group
    }


def candidates(text: str) -> tuple[list[tuple[int, int]], int]:
    """Spans of the words that may be hidden, and how many words there are in all."""
    taken = bytearray(len(text))
    for start, end in [*protected(text), *(match[:2] for match in terms.find(text))]:
        taken[start:end] = b"\1" * (end - start)
    free: list[tuple[int, int]] = []
    count = at = 0
    for word in words.cut(text):
        start, at = at, at + len(word)
        count += _ANY_WORD.search(word) is not None
        is_wording = not word.isupper() and word.lower() in groups()
        if is_wording and not any(taken[start:at]):
            free.append((start, at))
    return free, count


def judge(text: str, edits: Sequence[Edit]) -> Perturbed:
    """The text after those edits that change no guarded fact and no term of the lexicon."""
    told = [match.form for match in terms.find(text)]
    kept: list[Edit] = []
    refused: list[Edit] = []
    for edit in edits:
        trial = [match.form for match in terms.find(apply(text, [*kept, edit]))]
        (kept if trial == told else refused).append(edit)
    done = perturb(text, [_Given(kept)], 0, "")
    return Perturbed(done.text, done.edits, [*refused, *done.refused])


class _Given(Perturbation):
    """Proposes edits that are known already, for the guards to judge."""

    source = "a model"
    language = "both"

    def __init__(self, edits: list[Edit]) -> None:
        self.edits = edits

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        del text, random
        return self.edits


def find_tokens(
    spans: Sequence[tuple[int, int]], offsets: Sequence[tuple[int, int]]
) -> Iterator[Place]:
    """Words with their tokens; those are left out that a token joins to something else.

    Args:
        spans: of the words, ascending.
        offsets: of a row's tokens; special tokens are empty.
    """
    position = 0
    for start, end in spans:
        while position < len(offsets) and offsets[position][1] <= start:
            position += 1
        tokens = []
        while position < len(offsets) and offsets[position][0] < min(end, offsets[position][1]):
            tokens.append(position)
            position += 1
        if tokens and offsets[tokens[0]][0] == start and offsets[tokens[-1]][1] == end:
            yield Place(start, end, tokens)


def _answers(tokenizer: Any, size: int) -> dict[str, list[list[int]]]:
    """Words that may be written → their tokens' numbers, at a text's start and behind a space.

    Args:
        tokenizer: of the model.
        size: of the model's vocabulary.
    """
    found: dict[str, list[list[int]]] = {}
    for word in groups():
        written = (tokenizer(at + word, add_special_tokens=False)["input_ids"] for at in ("", " "))
        found[word] = [
            numbers
            for numbers in written
            if tokenizer.unk_token_id not in numbers and max(numbers, default=size) < size
        ]
    return found


def _batches(rows: Sequence[int], ids: dict[int, list[int]]) -> Iterator[list[int]]:
    """Rows from long to short, as many at once as `_TOKENS` allows."""
    batch: list[int] = []
    width = 1
    for row in sorted(rows, key=lambda row: -len(ids[row])):
        if batch and (len(batch) + 1) * width > _TOKENS:
            yield batch
            batch = []
        if not batch:
            width = max(len(ids[row]), 1)
        batch.append(row)
    if batch:
        yield batch
