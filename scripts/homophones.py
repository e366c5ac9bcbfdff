"""Write ``perturb/tables/homophones.csv``: what an input method offers for the same keys.

Run once, by hand, where pypinyin and jieba are installed (``pip install pypinyin jieba``, both
MIT); neither is needed afterwards:

    python scripts/homophones.py src/emrobust

A term is a common character, or a word of the clinic's tables. Its others sound the same
without tones, the most frequent first, as an input method lists them; then those that sound
the same to many speakers (z/zh, c/ch, s/sh, n/l, f/h, an/ang, en/eng, in/ing).
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from pypinyin import Style, lazy_pinyin

COMMON = 3_500  # characters
OTHERS = 6  # for one term
WORDS = 8_000  # of the dictionary, the most frequent, that may stand for another
HAN = re.compile("[一-鿿]+")


def read_frequencies() -> tuple[Counter[str], Counter[str]]:
    """Characters and words of jieba's dictionary with their frequencies."""
    spec = find_spec("jieba")
    if spec is None or spec.origin is None:
        sys.exit("jieba is not installed: pip install jieba")
    characters: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for line in Path(spec.origin).with_name("dict.txt").read_text("utf-8").splitlines():
        word, count, _ = line.split(" ")
        if HAN.fullmatch(word):
            words[word] = int(count)
            for character in word:
                characters[character] += int(count)
    return characters, words


def read_clinical(package: Path) -> Counter[str]:
    """Words of two and three characters in the package's own tables, and single characters."""
    found: Counter[str] = Counter()
    tables = [*package.glob("clinic/tables/*.csv"), *package.glob("perturb/tables/*.toml")]
    for table in tables:
        for run in HAN.findall(table.read_text("utf-8")):
            for size in (1, 2, 3):
                found.update(run[at : at + size] for at in range(len(run) - size + 1))
    return found


def read_guarded() -> set[str]:
    """Characters that begin or make a guarded fact: no error may produce one."""
    from emrobust.perturb import tokens  # noqa: PLC0415 - only where the package is installed

    lexicon = tokens.load()
    single = {word for word in lexicon.words if len(word) == 1}
    return single | set("零一二三四五六七八九十百千万两半数几不无没未非否勿莫免别上下前后内外")


def sounds(term: str) -> str:
    """The syllables of a term without tones."""
    return " ".join(lazy_pinyin(term, style=Style.NORMAL))


def blur(sound: str) -> str:
    """The sound as a speaker hears it who does not tell the usual pairs apart."""
    syllables = []
    for syllable in sound.split():
        merged = re.sub("^([zcs])h", r"\1", syllable)
        merged = re.sub("^l", "n", merged)
        merged = re.sub("^hu(?=[aeo])|^h(?=[ae])", "f", merged) if merged[:1] in "hf" else merged
        syllables.append(re.sub("([aei]n)g$", r"\1", merged))
    return " ".join(syllables)


def group(terms: Iterable[str], frequency: Counter[str]) -> dict[str, list[str]]:
    """Each term's others of the same sound, then of a like one, the most frequent first."""
    by_sound: dict[str, list[str]] = defaultdict(list)
    for term in terms:
        by_sound[sounds(term)].append(term)
    by_blur: dict[str, list[str]] = defaultdict(list)
    for sound in by_sound:
        by_blur[blur(sound)].append(sound)
    found = {}
    for sound, same in by_sound.items():
        like = [t for other in by_blur[blur(sound)] if other != sound for t in by_sound[other]]
        same.sort(key=lambda term: -frequency[term])
        like.sort(key=lambda term: -frequency[term])
        for term in same:
            others = [other for other in same if other != term][: OTHERS - 1]
            found[term] = others + like[: OTHERS - len(others)]
    return found


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="the folder src/emrobust")
    package = parser.parse_args().package
    characters, words = read_frequencies()
    clinical, guarded = read_clinical(package), read_guarded()
    common = [c for c, _ in characters.most_common(COMMON)]
    common += [c for c in clinical if len(c) == 1 and c not in set(common)]
    common = [c for c in common if c.encode("gb2312", "ignore")]
    rows = group((c for c in common if c not in guarded), characters)
    known = {w for w, _ in words.most_common(60_000)} | {w for w in clinical if w in words}
    alike = group((w for w in known if 2 <= len(w) <= 3 and not guarded & set(w)), words)
    frequent = {w for w, _ in words.most_common(WORDS)}
    for word, same in alike.items():
        if word in clinical and sounds(word) == " ".join(map(sounds, word)):
            # What is a clinical word itself would be another finding, not a slip.
            others = [other for other in same if other not in clinical]
            rows[word] = [o for o in others if o in frequent or sounds(o) == sounds(word)][:3]
    out = package / "perturb" / "tables" / "homophones.csv"
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["term", "sound", "others"])
        writer.writerows(
            (term, sounds(term).replace(" ", ""), "|".join(others))
            for term, others in rows.items()
            if others
        )
    print(f"{len(rows)} terms in {out}")


if __name__ == "__main__":
    main()
