"""ICD-10 codes: the WHO's form and the Chinese national and insurance extensions.

A code is a category (``I20``), perhaps a subcategory (``I20.8``) and perhaps an extension:

* WHO: a fifth character, ``I20.80``;
* GB/T 14396 (China): two digits, ``I20.800``; a category without subcategories is filled
  up with an x, ``I10.x00``;
* the national clinical and insurance lists: x and two to four digits, ``I20.800x007``.

What hospitals really send is accepted: lower case, full-width characters, blanks, a missing
point, dagger and asterisk marks, two codes joined by a dagger. Morphology codes (``M8140/3``)
are histology, not diagnoses, and are refused. ICD-10-CM's alphanumeric categories and seventh
characters are not accepted. Whether a subcategory exists is not checked: a category is valid
when it lies in a block of ``chapters.csv`` (WHO, ICD-10 2019; Chinese titles after GB/T 14396).
"""

from __future__ import annotations

import bisect
import csv
import functools
import re
import unicodedata
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

from emrobust.errors import LabelError

NOT_A_CODE = "not of the form of an ICD-10 code"
MORPHOLOGY = "a morphology code (histology of a tumour), not a diagnosis"
NO_BLOCK = "its category is in no block of ICD-10"

_FORM = re.compile(r"([A-Z]\d\d)(?:\.?([\dX])(\d{0,2})(X\d{2,4})?)?(?:\.-?)?", re.ASCII)
_MORPHOLOGY = re.compile(r"M?\d{4,5}/\d{1,2}", re.ASCII)
# After the fourth character, so that the filler of I10.x00 is not taken for an extension.
_NATIONAL = re.compile(r"(?<=^.{5})x\d{2,4}$|(?<=^.{6})x\d{2,4}$|(?<=^.{7})x\d{2,4}$")
_JOINTS = re.compile(r"[+†*]+")
# Characters typed for the point and the x that Unicode's compatibility form leaves alone.
_TYPED = str.maketrans({"。": ".", "·": ".", "•": ".", "×": "X", "✕": "X"})
_WAY_OUT = 'Correct the code, or set invalid = "drop" in [labels].'


@dataclass(frozen=True)
class Code:
    """One diagnosis code.

    Attributes:
        category: three characters, ``I20``.
        subcategory: ``I20.8``, or None where the code stops at the category.
        full: the canonical form with every extension, ``I20.800x007``.
    """

    category: str
    subcategory: str | None
    full: str

    def prefixes(self) -> tuple[str, ...]:
        """Codes that contain this one, the longest (itself) first, the category last."""
        stem = _NATIONAL.sub("", self.full)
        forms = (self.full, stem, stem[:6], self.subcategory, self.category)
        return tuple(dict.fromkeys(form for form in forms if form))


class Block(NamedTuple):
    """A range of categories with its titles; ``chapter`` is its place among the chapters."""

    first: str
    last: str
    title_zh: str
    title_en: str
    chapter: int


@functools.cache
def blocks() -> tuple[Block, ...]:
    """All blocks of ICD-10 in alphabetical order."""
    found = []
    chapter = 0
    text = resources.files(__package__).joinpath("chapters.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        if row["kind"] == "chapter":
            chapter += 1
        else:
            found.append(
                Block(row["first"], row["last"], row["title_zh"], row["title_en"], chapter)
            )
    return tuple(sorted(found))


def block(category: str) -> Block | None:
    """The block that a category falls into, or None."""
    place = bisect.bisect_right(blocks(), category, key=lambda of: of.first) - 1
    if place < 0 or category > blocks()[place].last:
        return None
    return blocks()[place]


def parse(text: str) -> Code:
    """Parse a single code.

    Raises:
        LabelError: the reason is `NOT_A_CODE`, `MORPHOLOGY` or `NO_BLOCK`; the text itself is
            not repeated, since a wrongly mapped column may hold anything.
    """
    codes = parse_combination(text)
    if len(codes) != 1:
        raise LabelError("two codes where one is asked for", "Give each code its own row.")
    return codes[0]


def parse_combination(text: str) -> tuple[Code, ...]:
    """Parse a code or a dagger-asterisk pair such as ``A18.0+M01.1*``, in the given order.

    Raises:
        LabelError: as in `parse`.
    """
    plain = "".join(unicodedata.normalize("NFKC", text).upper().translate(_TYPED).split())
    parts = [part for part in _JOINTS.split(plain) if part]
    if not parts:
        raise LabelError(NOT_A_CODE, _WAY_OUT)
    return tuple(dict.fromkeys(_parse_part(part) for part in parts))


def _parse_part(part: str) -> Code:
    if _MORPHOLOGY.fullmatch(part):
        raise LabelError(MORPHOLOGY, "Map the column of diagnoses, not that of histology.")
    match = _FORM.fullmatch(part)
    if match is None:
        raise LabelError(NOT_A_CODE, _WAY_OUT)
    category, fourth, digits, national = match.groups(default="")
    if block(category) is None:
        raise LabelError(NO_BLOCK, _WAY_OUT)
    filler = fourth == "X"
    if not fourth or (filler and not digits and not national):
        return Code(category, None, category)
    full = f"{category}.{(fourth + digits + national).lower()}"
    return Code(category, None if filler else f"{category}.{fourth}", full)
