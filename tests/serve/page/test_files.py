"""The page's files: words in both languages, examples, addresses that may be kept, no way out."""

from __future__ import annotations

import json
import re
from string import Formatter

import pytest
from tokenizers import Tokenizer

from emrobust.encoder import embedded
from emrobust.serve.routes.page import read_page

FIELDS = {"chief_complaint", "present_illness", "past_history"}


@pytest.fixture(scope="module")
def files():
    page = read_page()
    return {name: content.decode() for name, content in page.files.items()} | {
        "index.html": page.document.decode()
    }


def test_both_languages_have_the_same_words_and_places(files):
    zh, en = (json.loads(files[f"words.{language}.json"]) for language in ("zh", "en"))
    assert list(zh) == list(en)
    for key, words in zh.items():
        places = [{n for _, n, _, _ in Formatter().parse(of) if n} for of in (words, en[key])]
        assert places[0] == places[1], key
        assert not re.search(r"[\u4e00-\u9fff][,;:(]|[,;:)][\u4e00-\u9fff]", words), key


def test_every_word_that_is_used_exists_and_every_word_is_used(files):
    words = set(json.loads(files["words.zh.json"]))
    code = "\n".join(text for name, text in files.items() if name.endswith((".js", ".html")))
    named = set(re.findall(r'data-word(?:-label|-placeholder)?="([^"]+)"', code))
    named |= set(re.findall(r'"([a-z]+(?:\.[a-z0-9_]+)+)"', code)) & words
    named |= set(re.findall(r'\bt\("([^"]+)"', code))
    assert named <= words
    stems = [*re.findall(r"`([a-z]+\.(?:[a-z]+_)*)\$\{", code)]
    stems += [f"{stem}." for stem in re.findall(r'named\("([a-z]+)"', code)]
    unused = {key for key in words - named if not key.startswith(tuple(stems))}
    assert unused == set()


def test_examples_are_made_up_notes_with_the_parts_that_models_read(files):
    examples = json.loads(files["examples.json"])
    assert sum(example["language"] == "zh" for example in examples) >= 8
    assert sum(example["language"] == "en" for example in examples) >= 3
    for example in examples:
        assert set(example) == {"language", "title", "fields"}
        assert set(example["fields"]) == FIELDS
    # The embedded encoder reads all of the Chinese ones at its usual length.
    tokenizer = Tokenizer.from_file(str(embedded.folder() / "tokenizer.json"))
    for example in examples:
        text = "\n".join(example["fields"].values())
        assert len(tokenizer.encode(text).ids) <= 128 or example["language"] != "zh"


def test_nothing_is_inline_and_nothing_comes_from_elsewhere(files):
    for name, text in files.items():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), name
        assert not re.search(r"@import|\beval\(|innerHTML|new Function|document\.write", text), name
    document = files["index.html"]
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", document)
    imports = {name for text in files.values() for name in re.findall(r'from "\./([^"]+)"', text)}
    assert imports <= set(files)


@pytest.mark.anyio
async def test_files_may_be_kept_for_good_and_the_page_is_asked_for_again(client):
    page = await client.get("/", headers={"Authorization": ""})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    same = await client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert same.status_code == 304
    address = re.search(r"page/\w+/main\.js", page.text).group()
    script = await client.get(f"/{address}", headers={"Authorization": ""})
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    assert "script-src 'self'" in script.headers["content-security-policy"]
    for wrong in ("/page/0000/main.js", address.replace("main.js", "..%2f__init__.py")):
        gone = await client.get(f"/{wrong.lstrip('/')}")
        assert gone.status_code == 404
        assert gone.headers["content-type"] == "application/problem+json"
