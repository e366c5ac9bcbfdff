import lzma

import numpy as np
import pytest

from emrobust.encoder import cooccurrence, corpus, masking, packing, tokenizer
from emrobust.errors import ModelError, SourceError


@pytest.fixture(scope="module")
def built(passages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    source = folder / "notes.txt"
    source.write_text("\n".join([*passages, "", "  "]), encoding="utf-8")
    words = tokenizer.learn(passages, pieces=100)
    return source, words, folder, corpus.build([source], words, folder / "corpus")


def test_tokens_and_words_are_those_of_each_passage(built, passages):
    _, words, _, text = built
    assert len(text.starts) == len(passages) + 1
    for place in (0, 7, len(passages) - 1):
        found = text.ids[text.starts[place] : text.starts[place + 1]].tolist()
        assert found == words.encode(passages[place], add_special_tokens=False).ids
        begins = np.flatnonzero(text.begins[text.starts[place] : text.starts[place + 1]])
        numbers = text.words[text.starts[place] : text.starts[place + 1]][begins]
        spelled = "".join(text.vocabulary[number] for number in numbers)
        assert spelled == passages[place].lower()


def test_a_corpus_is_built_once(built):
    source, words, folder, _ = built
    before = (folder / "corpus" / "ids.bin").stat().st_mtime_ns
    corpus.build([source], words, folder / "corpus")
    assert (folder / "corpus" / "ids.bin").stat().st_mtime_ns == before


def test_compressed_text_is_read(tmp_path):
    (tmp_path / "notes.txt.xz").write_bytes(lzma.compress("头痛\n发热\n".encode()))
    assert list(corpus.read([tmp_path / "notes.txt.xz"])) == ["头痛", "发热"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("notes.txt", b"\xff\xfe\x00\x01", "not UTF-8"),
        ("notes.txt", b"\xe5\xa4\xb4\x00\n", "zero bytes"),
        ("notes.txt.xz", b"\xfd7zXZ\x00cut", "whole"),
        ("notes.txt.gz", b"no gzip", "whole"),
    ],
)
def test_what_is_no_text_is_refused_and_not_shown(name, content, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=says) as caught:
        list(corpus.read([tmp_path / name]))
    assert "头" not in str(caught.value)


def test_an_empty_corpus_leaves_nothing_behind(built, tmp_path):
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(SourceError, match="no text"):
        corpus.build([tmp_path / "empty.txt"], built[1], tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_a_vocabulary_of_another_writing_is_refused(built, tmp_path):
    (tmp_path / "hangul.txt").write_text("한국어 문장입니다\n" * 5)
    with pytest.raises(ModelError, match="%"):
        corpus.build([tmp_path / "hangul.txt"], built[1], tmp_path / "corpus")


def test_words_of_one_body_system_lie_near_each_other(built):
    text = built[3]
    vectors = cooccurrence.learn(text, width=32)

    def of(word):
        return vectors.vectors[vectors.rows[text.vocabulary.index(word)]]

    def known(word):
        return word in text.vocabulary and vectors.rows[text.vocabulary.index(word)] >= 0

    assert all(map(known, ("咳嗽", "咳痰", "腹泻"))), "the fixture has lost its words"
    assert of("咳嗽") @ of("咳痰") > of("咳嗽") @ of("腹泻") + 0.1
    norms = np.linalg.norm(vectors.vectors, axis=1)
    assert np.allclose(norms[:-1], 1, atol=1e-5)
    assert norms[-1] == 0 == vectors.weights[-1]


def test_too_little_text_for_vectors_is_an_error(built):
    with pytest.raises(SourceError, match="too few"):
        cooccurrence.learn(built[3], width=4000)


@pytest.mark.parametrize("even", [True, False])
def test_so_many_tokens_are_hidden_and_whole_words_only(built, even):
    text = built[3]
    hide = masking.rates(text.words, len(text.vocabulary), 0.15, even=even)
    ids = np.asarray(text.ids[:20_000]).reshape(10, -1).astype(np.int64)
    begins = np.asarray(text.begins[:20_000]).reshape(10, -1)
    ordinary = np.ones_like(begins)
    ordinary[:, -3:] = False
    rates = hide[np.asarray(text.words[:20_000]).reshape(10, -1)]
    found = masking.mask_words(
        ids, begins, ordinary, np.random.default_rng(0), rates=rates, mask=4, others=(26, 90)
    )
    share = found.chosen[ordinary].mean()
    assert 0.11 < share < 0.19
    assert not found.chosen[~ordinary].any()
    follows = ~begins & ordinary
    follows[:, 0] = False
    left = np.roll(found.chosen, 1, axis=1)
    assert (found.chosen == left)[follows].all()
    fates = found.ids[found.chosen]
    assert 0.7 < (fates == 4).mean() < 0.9
    assert 0.05 < (fates == ids[found.chosen]).mean() < 0.18
    assert (found.ids == ids)[~found.chosen].all()


def test_rare_words_are_hidden_more_than_frequent_ones():
    words = np.repeat([0, 1, 2], [9000, 990, 10])
    hide = masking.rates(words, 3, 0.15, even=False)
    assert hide[0] < hide[1] < hide[2] <= 0.9


@pytest.mark.parametrize("kind", ["passages", "full"])
def test_rows_cover_the_corpus_without_overlap(kind):
    starts = np.array([0, 3, 3, 40, 300, 310])
    rows = packing.pack(starts, kind, 62)
    covered = np.zeros(310, int)
    for start, length in zip(rows.starts, rows.lengths, strict=True):
        covered[start : start + length] += 1
    assert rows.lengths.max() <= 62
    # A passage of three tokens is too short to learn from.
    assert (covered[3 if kind == "passages" else 0 :] == 1).all()
    if kind == "full":
        assert (rows.lengths[:-1] == rows.lengths[0]).all()


def test_a_plan_has_every_row_once_and_keeps_to_the_budget():
    lengths = np.random.default_rng(0).integers(4, 128, 5000)
    batches = packing.plan(lengths, 2048, seed=1, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(5000))
    assert max(len(batch) * lengths[batch].max() for batch in batches) <= 2048
    real = sum(int(lengths[batch].sum()) for batch in batches)
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    assert real / padded > 0.95
    again = packing.plan(lengths, 2048, seed=1, epoch=0)
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))
