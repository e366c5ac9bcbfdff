"""Placeholder: names, hospitals and beds as de-identification writes them, [PATIENT_NAME]."""

from __future__ import annotations

import re
from random import Random
from typing import ClassVar

from emrobust.perturb import noise
from emrobust.perturb.edits import Edit
from emrobust.perturb.perturbation import Gaps, Language, Perturbation
from emrobust.perturb.tokens import trie
from emrobust.placeholders import PLACEHOLDERS
from emrobust.registry import register


@register("perturbation")
class Placeholder(Perturbation):
    """What de-identified notes show: the word of `emrobust.placeholders` for the identifier.

    It finds the plain cases by their surroundings and is no de-identification.

    Args:
        rate: share of the identifiers found that are replaced.
    """

    source: ClassVar[str] = "de-identified corpora; words of emrobust.placeholders"
    language: ClassVar[Language] = "zh"
    rewrites: ClassVar[bool] = True

    def __init__(self, *, rate: float = 0.8) -> None:
        self.gaps = Gaps(rate)
        self.pattern = _compile(noise.load().placeholder)

    def propose(self, text: str, random: Random) -> list[Edit]:
        """See `Perturbation.propose`."""
        found = list(self.pattern.finditer(text))
        edits = []
        for which in self.gaps.pick(len(found), random):
            kind = found[which].lastgroup
            if kind:
                edits.append(Edit(*found[which].span(kind), PLACEHOLDERS[kind]))
        return edits


def _compile(words: noise.Placeholder) -> re.Pattern[str]:
    name = rf"[{words.surnames}][一-鿿]{{1,2}}"
    place = rf"[一-鿿]{{2,3}}(?:{trie(words.places)})"
    ordinal = "第[一二三四五六七八九十]"
    end = r"(?![一-鿿])"
    return re.compile(
        "|".join(
            [
                rf"(?P<hospital>{place}(?:{ordinal})?(?:{trie(words.hospitals)}))",
                r"(?P<bed_no>\+?\d{1,3}床)",
                rf"(?:{trie(words.before)})[:： ]?(?P<doctor_name>{name}){end}",
                rf"患者(?P<patient_name>{name})(?=[，,、])",
                r"(?:身份证号?|证件号)[:： ]?(?P<id_card>\d{17}[\dXx])",
                r"(?:电话|手机号?|Tel)[:： ]?(?P<phone>1\d{10}|0\d{2,3}-\d{7,8})",
                r"(?:住院号|门诊号|病历号)[:： ]?(?P<visit_no>[A-Z]{0,2}\d{6,12})",
                r"(?:社保卡?号|医保号)[:： ]?(?P<social_security>\d{8,10})",
            ]
        )
    )
