"""Addresses: administrative units, streets, villages, estates, down to the room; English streets.

An address is a chain of units (…市…区…路12号3栋501室). Behind 家住 or 地址 one unit is enough;
elsewhere a chain needs two levels and one of them a street, village or estate with a number,
or a place that the tables know. What a unit ends in is listed here by level, as it is grammar
rather than knowledge.
"""

from __future__ import annotations

import re
from typing import ClassVar

from emrobust.deid.detector import HAN, Detector, Row, has_english
from emrobust.deid.spans import Span
from emrobust.deid.tables import alternatives, either, words
from emrobust.registry import register

_GRAMMAR = "grammar.toml"
_UNITS = either(_GRAMMAR, "address", "units")
_HOUSES = either(_GRAMMAR, "address", "houses")
_LABEL = rf"{either(_GRAMMAR, 'address', 'labels')}\s{{0,2}}[:为是在于]?\s{{0,2}}"
_KNOWN_PLACE = alternatives((*words("places.toml", "provinces"), *words("places.toml", "cities")))
_NUMERAL = r"(?:\d{1,5}(?:[-~]\d{1,4}){0,2}|[一二三四五六七八九十百]{1,4}|[A-Za-z]\d{0,3})"
_NAME = rf"(?:(?!{either(_GRAMMAR, 'address', 'breaks')})[{HAN}]){{0,8}}?"
_PLACE = rf"(?>{_NAME}\s?{_UNITS}[东南西北中]?(?:段(?!时))?)"
_NO_MEASURE = r"(?![\d.年月日岁天床%℃/-])"
_NUMBER = (
    rf"(?>[附第甲乙丙丁]?{_NUMERAL}\s?{_HOUSES}|\d{{1,4}}(?:-\d{{1,4}}){{1,3}}{_NO_MEASURE}"
    rf"|(?<=[栋幢楼元座层号])\d{{2,4}}{_NO_MEASURE})"
)
_CHAIN = rf"(?:{_PLACE}\s?|{_NUMBER}\s?){{1,14}}+"
_LABELLED = re.compile(rf"{_LABEL}({_CHAIN})")
_LABELLED_PLACE = re.compile(rf"{_LABEL}((?:{_KNOWN_PLACE}[省市]?){{1,2}})")
# 汉族,安吴县人: where somebody is from.
_NATIVE = re.compile(rf"(?<=[,、\s])([{HAN}]{{2,8}}(?:省|市|县|区|州|镇|旗))人(?=[,。;\s]|$)")
# What may be the middle of an address; looked for before anything dearer is done.
_ANCHOR = re.compile(
    r"[路街道巷弄村园区苑里寓厦邸城庄院社段号栋幢]\s?(?:\d{1,5}|[一二三四五六七八九十百]{1,4})\s?"
    r"(?:号|栋|幢|弄|组|室|单元|社|队)"
    rf"|[市县区旗州省镇乡](?=[{HAN}]{{1,6}}(?:[镇乡村路街]|街道|大道|区|县))"
)
_BEGINNING = re.compile(r"[,。;!?\n:()“”\"、]")
_STOP = re.compile(either(_GRAMMAR, "address", "stops"))
_CHAIN_HERE = re.compile(_CHAIN)
_KNOWN = re.compile(_KNOWN_PLACE)
_LEVELS = tuple(
    re.compile(level)
    for level in (
        rf"[{HAN}](?:省|市|自治[区州])",
        rf"[{HAN}](?:区|县|旗|镇|乡|街道)",
        rf"[{HAN}](?:大道|大街|胡同|公路|国道|[路街巷弄道])",
        rf"[{HAN}](?:花园|小区|家园|新村|公寓|村|苑|大厦|里|邸)",
        rf"{_NUMERAL}\s?{_HOUSES}",
    )
)
# What makes a level less enough.
_HOME = re.compile("(?:住|位于|家在)$")
_FEWEST_LEVELS = 3
_ENGLISH = re.compile(
    r"\b\d{1,5}(?:-\d{1,4})?\s(?:(?:[NSEW]|North|South|East|West)\.?\s)?(?:[A-Z][a-z]+|\d{1,3}(?:st|nd|rd|th))(?:\s[A-Z][a-z]+){0,3}\s"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|Parkway|Pkwy|Circle|Highway|Hwy)\b\.?"
    r"(?:,?\s(?:Apt|Apartment|Suite|Ste|Unit|Room|#)\.?\s?[A-Za-z]?\d{0,5}[A-Za-z]?\b)?"
    r"(?:,?\s(?:[A-Z][a-z]+\s?){1,3},?\s[A-Z]{2}\b)?(?:,?\s\d{5}(?:-\d{4})?\b)?"
    r"|\b(?:P\.?\s?O\.?\s?Box)\s\d{1,6}\b"
    r"|\b[A-Z][a-z]+(?:\s[A-Z][a-z]+)?,\s[A-Z]{2}\s\d{5}(?:-\d{4})?\b"
)


@register("detector")
class Address(Detector):
    """Where somebody lives."""

    kinds: ClassVar[tuple[str, ...]] = ("address",)
    source: ClassVar[str] = "GB/T 2260 (places.toml); GB/T 23705 for the order of units"
    triggers = (_LABELLED, _LABELLED_PLACE, _NATIVE, _ANCHOR, _ENGLISH)

    def __init__(self) -> None:
        self._nameless = frozenset(words("traps.toml", "addresses"))

    def find(self, text: str, row: Row | None = None) -> list[Span]:
        """See `Detector.find`."""
        found = []
        if not text.isascii():
            found += [
                self._trimmed(text, *match.span(1), 0.95, "a chain of units behind 住址")
                for match in _LABELLED.finditer(text)
                if match[1].strip() not in self._nameless
            ]
            found += self.spans(_LABELLED_PLACE, text, 0.9, "a known place behind 住址", 1)
            found += [
                self.span(*match.span(1), 0.85, "a place before 人")
                for match in _NATIVE.finditer(text)
                if match[1] not in self._nameless
            ]
            found += self._free(text)
        if has_english(text):
            found += self.spans(_ENGLISH, text, 0.85, "an English street, box or ZIP code")
        return found

    def _free(self, text: str) -> list[Span]:
        """Addresses without a label: enough levels, or a known place and a level."""
        found: list[Span] = []
        done = 0
        for anchor in _ANCHOR.finditer(text):
            if anchor.start() < done:
                continue
            start = _begin(text, done, anchor.start())
            chain = _CHAIN_HERE.match(text, start)
            if chain is None or chain.end() <= anchor.start():
                continue
            levels = sum(bool(level.search(chain[0])) for level in _LEVELS)
            levels += bool(_KNOWN.match(chain[0]))
            levels += bool(_HOME.search(text[max(0, start - 2) : start]))
            if levels >= _FEWEST_LEVELS:
                span = self._trimmed(
                    text, *chain.span(), 0.85, f"a chain of {levels} levels of place"
                )
                found.append(span)
                done = chain.end()
        return found

    def _trimmed(self, text: str, start: int, end: int, score: float, evidence: str) -> Span:
        return self.span(start, start + len(text[start:end].rstrip()), score, evidence)


def _begin(text: str, done: int, anchor: int) -> int:
    """Where the address around an anchor begins: its clause, a known place or a preposition."""
    start = max(done, anchor - 40)
    for mark in _BEGINNING.finditer(text, start, anchor):
        start = mark.end()
    known = _KNOWN.search(text, start, anchor)
    if known:
        return known.start()
    for stop in _STOP.finditer(text, start, anchor):
        start = stop.end()
    return start
