import re
from importlib import resources
from string import Formatter

from emrobust.report import words


def placeholders(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_words_and_placeholders():
    table = words.load()
    assert set(table) == {"zh", "en"}
    assert set(table["zh"]) == set(table["en"])
    for key, text in table["zh"].items():
        assert placeholders(text) == placeholders(table["en"][key]), key


def test_chinese_is_set_with_chinese_punctuation():
    for key, text in words.load()["zh"].items():
        assert not re.search(r"[\u4e00-\u9fff}][,;:(]|[,;:)][\u4e00-\u9fff]", text), key


def test_every_word_of_the_page_is_in_the_table():
    room = resources.files("emrobust.report")
    code = [file for file in room.iterdir() if file.name.endswith(".py")]
    sources = [file.read_text(encoding="utf-8") for file in code if file.name != "words.py"]
    page = (room / "templates" / "report.html.j2").read_text(encoding="utf-8")
    used = set(re.findall(r"\bw\('(\w+)'", page)) | set(re.findall(r"'(confused_text_\w+)'", page))
    used |= set(re.findall(r"""\bwords\(\s*"(\w+)\"""", "".join(sources)))
    known = set(words.load()["zh"])
    assert len(used) > 60
    assert used <= known


def test_an_unknown_word_is_shown_as_it_is():
    assert words.Words("en").known("fold 3") == "fold 3"
    assert words.Words("en").known("train") == "Training"
