"""Characters and words as tokens, and the vocabulary learned from the training texts alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

PAD, UNKNOWN = 0, 1
_IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
# An ideograph is a token, so is a digit (numbers are many, digits are ten), so is each
# punctuation mark; a run of other letters is a word.
_TOKEN = re.compile(rf"[{_IDEOGRAPHS}]|[^\W\d_{_IDEOGRAPHS}]+|\S")


def tokenize(text: str) -> list[str]:
    """Ideographs, digits and marks one by one, other letters as lower-case words."""
    return _TOKEN.findall(text.lower())


def locate(text: str) -> list[tuple[int, int]]:
    """The range of each token of `tokenize` in the text as it was given."""
    lowered = text.lower()
    found = [match.span() for match in _TOKEN.finditer(lowered)]
    if len(lowered) == len(text):
        return found
    # One capital may become two characters (İ).
    origin = [place for place, character in enumerate(text) for _ in character.lower()]
    return [(origin[start], origin[end - 1] + 1) for start, end in found]


class Vocabulary:
    """Token → number; 0 is padding and 1 stands for every token that training never saw.

    Args:
        tokens: the known tokens, the commonest first; the first gets number 2.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        self._place = {token: number for number, token in enumerate(self.tokens, start=2)}

    def __len__(self) -> int:
        return len(self.tokens) + 2

    @classmethod
    def learn(cls, texts: Iterable[str], *, min_count: int, size: int) -> Vocabulary:
        """The ``size`` commonest tokens that occur at least ``min_count`` times."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(tokenize(text))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls([token for token, count in ranked[:size] if count >= min_count])

    def encode(self, text: str, max_length: int) -> list[int]:
        """Numbers of the first ``max_length`` tokens; a blank text is one unknown token."""
        tokens = tokenize(text)[:max_length]
        return [self._place.get(token, UNKNOWN) for token in tokens] or [UNKNOWN]
