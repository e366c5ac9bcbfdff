"""Texts in another language than the project's."""

from __future__ import annotations

import pytest

from emrobust.language import count_foreign, describe_foreign, is_foreign


@pytest.mark.parametrize(
    ("text", "in_zh", "in_en"),
    [
        ("反复胸闷3天，BP 150/95mmHg，ECG示ST段压低", False, True),
        ("Chest pain for three days, BP 150/95", True, False),
        ("Prescribed ma huang (麻黄) for three days of chest pain", True, False),
        ("T38.5", False, False),
        ("胸闷", False, False),
        ("", False, False),
    ],
)
def test_a_text_is_known_by_its_letters(text, in_zh, in_en):
    assert (is_foreign(text, "zh"), is_foreign(text, "en")) == (in_zh, in_en)


def test_a_note_now_and_then_is_no_warning_and_many_are():
    texts = ["反复咳嗽咳痰"] * 95 + ["Cough for three days"] * 5
    assert describe_foreign(count_foreign(texts, "zh"), len(texts), "zh") is None
    warning = describe_foreign(count_foreign(texts, "en"), len(texts), "en")
    assert warning == "95 of 100 texts are in another language than the project's, `en`"
    assert describe_foreign(0, 0, "en") is None
