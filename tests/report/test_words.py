import re
from importlib import resources
from string import Formatter

import pytest

from emrobust.report import evidence_tables, words


def placeholders(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


TABLES = (words.STRINGS, evidence_tables.STRINGS)


@pytest.mark.parametrize("file", TABLES)
def test_both_languages_have_the_same_words_and_placeholders(file):
    table = words.load(file)
    assert set(table) == {"zh", "en"}
    assert set(table["zh"]) == set(table["en"])
    for key, text in table["zh"].items():
        assert placeholders(text) == placeholders(table["en"][key]), key


@pytest.mark.parametrize("file", TABLES)
def test_chinese_is_set_with_chinese_punctuation(file):
    for key, text in words.load(file)["zh"].items():
        assert not re.search(r"[\u4e00-\u9fff}][,;:(]|[,;:)][\u4e00-\u9fff]", text), key


def test_every_word_of_the_page_is_in_the_table():
    room = resources.files("emrobust.report")
    code = [file for file in room.iterdir() if file.name.endswith(".py")]
    sources = [file.read_text(encoding="utf-8") for file in code if file.name != "words.py"]
    page = (room / "templates" / "report.html.j2").read_text(encoding="utf-8")
    used = set(re.findall(r"\bw\('(\w+)'", page)) | set(re.findall(r"'(confused_text_\w+)'", page))
    used |= set(re.findall(r"""\bwords\(\s*"(\w+)\"""", "".join(sources)))
    shown = (room / "templates" / "evidence.html.j2").read_text(encoding="utf-8")
    of_evidence = set(re.findall(r"\bv\('(\w+)'", shown))
    assert len(of_evidence) > 40
    assert of_evidence <= set(words.load(evidence_tables.STRINGS)["zh"])
    known = set(words.load()["zh"]) | set(words.load(evidence_tables.STRINGS)["zh"])
    assert len(used) > 60
    assert used <= known


def test_an_unknown_word_is_shown_as_it_is():
    assert words.Words("en").known("fold 3") == "fold 3"
    assert words.Words("en").known("train") == "Training"
