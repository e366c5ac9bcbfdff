"""A BERT-compatible tokenizer for Chinese clinical text, learned from a corpus.

Every ideograph is a token and every digit (so 38.5 and 39.5 share what they mean); Latin words,
abbreviations and units are word pieces; every de-identification placeholder is one token.
Width and letter case are levelled inside (ＢＰ, BP and bp are one), while offsets stay those of
the text as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer

from emrobust import runs
from emrobust.errors import ModelError
from emrobust.placeholders import PLACEHOLDERS

PAD, UNKNOWN, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LATIN = re.compile("[a-z]+")
_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"
_MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~，。、？；：“”‘’（）《》【】—…·°±×÷≤≥≈→←↑↓△▲○●■□★※∶"
# The most common ideographs of mainland print (GB/T 2312, level 1): a hospital may need them
# where our corpus does not.
_LEVEL_1 = [
    bytes((row, cell)).decode("gb2312", "ignore")
    for row in range(0xB0, 0xD8)
    for cell in range(0xA1, 0xFF)
]


def learn(texts: Iterable[str], *, pieces: int = 1500, min_count: int = 2) -> Tokenizer:
    """A tokenizer whose vocabulary is made for these texts.

    Args:
        texts: one passage each, any number of them; read once.
        pieces: how many word pieces Latin words may take.
        min_count: an ideograph that is rarer is unknown, unless it is common in print.

    Raises:
        ModelError: the texts hold nothing to learn from.
    """
    letters: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for text in texts:
        level = unicodedata.normalize("NFKC", text).lower()
        letters.update(level)
        words.update(_LATIN.findall(level))
    signs = {sign for sign, count in letters.items() if count >= min_count and _is_sign(sign)}
    if not words and not any(map(_is_sign, letters)):
        raise ModelError("the corpus holds no text to learn a vocabulary from")
    alphabet = signs | set(_GREEK + _MARKS) | {sign for sign in _LEVEL_1 if sign}
    learned = _word_pieces(words, pieces)
    special = [*SPECIAL, *PLACEHOLDERS.values()]
    rest = sorted((alphabet | set("0123456789")) - set(learned))
    tokens = [*special, *learned, *rest]
    tokenizer = _pipeline()
    tokenizer.model = WordPiece(
        vocab={token: number for number, token in enumerate(tokens)},
        unk_token=UNKNOWN,
        max_input_chars_per_word=100,
    )
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, tokens.index(CLS)), (SEP, tokens.index(SEP))],
    )
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, max_length: int) -> None:
    """Write what ``AutoTokenizer`` reads, of transformers 4 too."""
    special = {"pad_token": PAD, "unk_token": UNKNOWN, "cls_token": CLS, "sep_token": SEP}
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    runs.write_json(
        folder / "tokenizer_config.json",
        {
            **special,
            "mask_token": MASK,
            "model_max_length": max_length,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )


def _pipeline() -> Tokenizer:
    tokenizer = Tokenizer(WordPiece(vocab={UNKNOWN: 0}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.BertNormalizer(lowercase=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),
            pre_tokenizers.Digits(individual_digits=True),
            # Signs that are neither letters nor punctuation by Unicode, such as ↑ and ℃'s °.
            pre_tokenizers.Split(Regex(r"[^\p{Latin}\p{M}]"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _is_sign(sign: str) -> bool:
    """Whether a character can be a token of its own: no letter of a word, digit or space."""
    return sign.isprintable() and not (sign.isspace() or sign.isdigit() or _LATIN.match(sign))


def _word_pieces(words: Counter[str], count: int) -> list[str]:
    """The word pieces that write these words shortest; single letters always among them."""
    learner = Tokenizer(WordPiece(vocab={UNKNOWN: 0}, unk_token=UNKNOWN))
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    letters = "abcdefghijklmnopqrstuvwxyz"
    trainer = WordPieceTrainer(
        vocab_size=max(count, 64), min_frequency=2, initial_alphabet=list(letters),
        limit_alphabet=26, special_tokens=[UNKNOWN], show_progress=False,
    )  # fmt: skip
    common = (word for word, times in sorted(words.items()) for _ in range(min(times, 1000)))
    learner.train_from_iterator(common, trainer)
    found = {piece for piece in learner.get_vocab() if piece != UNKNOWN}
    return sorted(found | set(letters) | {f"##{letter}" for letter in letters})
