"""Accounts behind their network's name: WeChat, QQ, Alipay."""

from __future__ import annotations

from typing import ClassVar

from emrobust.deid.labelled import Labelled
from emrobust.registry import register


@register("detector")
class Account(Labelled):
    """A name or number behind 微信, QQ and the like."""

    kinds: ClassVar[tuple[str, ...]] = ("account",)
    source: ClassVar[str] = "labels.csv; rules of WeChat and QQ for names"
    value: ClassVar[str] = (
        r"(?:同号?\s?)?(?:[A-Za-z][-_A-Za-z0-9]{5,19}|\d(?: ?\d){4,11})(?![A-Za-z\d])"
    )
    shortest: ClassVar[int] = 5
