"""Synonym, colloquial and abbreviation, and the guards' word on every row of the lexicon."""

from random import Random

import pytest

from emrobust import lexicon, registry
from emrobust.errors import ConfigError
from emrobust.perturb import apply, check_row, perturb, terms
from emrobust.perturb.abbreviation import Abbreviation
from emrobust.perturb.colloquial import Colloquial
from emrobust.perturb.synonym import Synonym


def drawn(seed):
    return Random(seed)  # noqa: S311 - no secret hangs on it


NOTE = "患者2天前发热，体温38.5摄氏度，伴腹痛，无胸痛，否认高血压病、冠心病，血压120/80mmHg。"


def test_the_guards_accept_every_row_in_both_directions():
    refused = [
        f"{entry.type}.csv, line {entry.line}: {reason}"
        for entry in lexicon.load().entries
        for variant in entry.variants
        if (reason := check_row(entry.formal, variant) or check_row(variant, entry.formal))
    ]
    assert refused == []


@pytest.mark.parametrize(
    ("perturbation", "text", "wanted"),
    [
        (Colloquial(rate=1, direction="colloquial", use="all"), "腹胀", ("肚子胀", "肚子发胀")),
        (Colloquial(rate=1, direction="formal", use="all"), "肚子疼", ("腹痛",)),
        (
            Colloquial(rate=1, direction="colloquial", use="all"),
            "头痛3小时",
            ("个钟头", "3钟头", "3个小时"),
        ),
        (Abbreviation(rate=1, direction="abbreviate", use="all"), "冠心病", ("CHD", "CAD")),
        (Abbreviation(rate=1, direction="expand", use="all"), "否认COPD", ("慢性阻塞性肺疾病",)),
        (Abbreviation(rate=1, direction="abbreviate", use="all"), "腹泻2天", ("2d", "2D")),
        (Abbreviation(rate=1, direction="abbreviate"), "体温38.5摄氏度", ("T 38.5", "T38.5", "T:")),
        (Abbreviation(rate=1, direction="expand"), "BP120/80", ("血压120/80mmHg",)),
        (Abbreviation(rate=1, use="all"), "测血压", ("BP",)),
        (Synonym(rate=1, use="all"), "右上腹痛", ("右上腹疼痛", "右上腹部疼痛", "右上腹部痛")),
    ],
)
def test_terms_and_measures_are_rewritten_and_pass_the_guards(perturbation, text, wanted):
    done = perturb(text, [perturbation], 0, text)
    assert any(word in done.text for word in wanted), done
    assert not done.refused


@pytest.mark.parametrize("name", ["synonym", "colloquial", "abbreviation"])
def test_a_lexicon_of_ones_own_is_used_and_judged_by_the_guards(name, tmp_path):
    table = tmp_path / "sign.csv"
    first = "formal,synonyms,colloquial,abbreviated,source\n"
    table.write_text(f"{first}踝部震颤,踝震颤,脚脖子抖,AKT,our notes\n", encoding="utf-8")
    own = registry.get("perturbation", name)(rate=1, use="all", lexicon=tmp_path)
    assert perturb("今见踝部震颤", [own], 0, name).text != "今见踝部震颤"
    terms.load.cache_clear()
    table.write_text(
        f"{first}踝部震颤,踝震颤,,,x\n左踝震颤,右踝震颤,,,x\n急性踝震颤,,慢性踝抖,,x\n",
        encoding="utf-8",
    )
    lexicon.load.cache_clear()
    with pytest.raises(
        ConfigError, match=r"sign\.csv, line 3: (.|\n)*sign\.csv, line 4: "
    ) as error:
        registry.get("perturbation", name)(lexicon=tmp_path)
    assert "line 2" not in str(error.value)


@pytest.mark.parametrize("name", ["synonym", "colloquial", "abbreviation"])
def test_the_same_seed_proposes_the_same_and_no_edit_is_empty(name):
    one = registry.get("perturbation", name)(rate=0.5)
    first = one.propose(NOTE, drawn(4))
    assert first == one.propose(NOTE, drawn(4))
    assert any(one.propose(NOTE, drawn(seed)) != first for seed in range(20))
    for start, end, new in first:
        assert NOTE[start:end] != new
        assert new


@pytest.mark.parametrize("kind", [Colloquial, Abbreviation])
def test_writing_a_register_and_going_back_gives_the_formal_terms(kind):
    there, back = ("colloquial", "formal") if kind is Colloquial else ("abbreviate", "expand")
    types = ("symptom", "sign", "disease", "procedure")
    source = "colloquial" if kind is Colloquial else "abbreviated"
    for entry in lexicon.load().entries:
        if entry.type in types and any(
            len(lexicon.load().owners(v)) == 1 for v in entry.of(source)
        ):
            to = kind(rate=1, direction=there, types=types, use="all")
            home = kind(rate=1, direction=back, types=types, use="all")
            break
    for formal in [e.formal for e in lexicon.load().entries if e.type in types and e.of(source)]:
        written = apply(formal, to.propose(formal, drawn(1)))
        if written != formal:
            assert apply(written, home.propose(written, drawn(1))) == formal


def test_what_training_writes_no_robustness_suite_writes():
    written = {}
    for use in ("train", "test"):
        one = Colloquial(rate=1, direction="colloquial", use=use)
        written[use] = {other for others in one.swaps.values() for other in others}
    assert written["train"]
    assert written["test"]
    assert not written["train"] & written["test"]


def test_the_name_of_a_vital_sign_is_a_term_only_without_its_value():
    one = Abbreviation(rate=1, direction="abbreviate", use="all")
    assert [edit.text for edit in one.propose("测血压", drawn(0))] == ["BP"]
    (edit,) = one.propose("血压120/80mmHg", drawn(0))
    assert (edit.start, edit.end) == (0, len("血压120/80mmHg"))
    assert "120/80" in edit.text


def test_history_goes_with_a_disease_that_takes_the_word_for_itself():
    done = perturb("否认HTN史", [Abbreviation(rate=1, direction="expand", use="all")], 0, "x")
    assert done.text == "否认高血压病史"


def test_a_drug_is_not_renamed_unless_asked():
    text = "口服阿司匹林"
    assert Synonym(rate=1, use="all").propose(text, drawn(0)) == []
    assert Synonym(rate=1, use="all", types=("drug",)).propose(text, drawn(0))


def _write(path, rows):
    lines = [f"{len(rows)} 2", *(f"{word} {x} {y}" for word, x, y in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_word_vectors_add_near_words_that_mean_nothing_else(tmp_path):
    rows = [
        ("头痛", 1, 0),
        ("头疼痛", 0.99, 0.05),  # near, unknown: taken
        ("无头痛", 0.99, 0.04),  # near, but the guards refuse it
        ("头晕", 0.9, 0.4),  # near, but known as something else
        ("眩着", 0.9, 0.42),  # nearest to 头晕, so no word for 头痛
        ("天气", 0, 1),  # far from both
    ]
    path = _write(tmp_path / "vectors.txt", rows)
    plain = Synonym(use="all").swaps
    more = Synonym(use="all", vectors=path, minimum_cosine=0.9).swaps
    assert set(more["头痛"]) - set(plain["头痛"]) == {"头疼痛"}
    assert set(more["头晕"]) - set(plain["头晕"]) == {"眩着"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("头痛 1 0\n", "line 1"),
        ("1 2\n头痛 1\n", "line 2"),
        ("1 2\n头痛 1 x\n", "line 2"),
        ("1 2\n头痛 nan 1\n", "line 2"),
        ("1 2\n头痛 0 0\n", "line 2"),
    ],
)
def test_wrong_word_vectors_are_told_with_the_line(tmp_path, text, why):
    path = tmp_path / "vectors.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=why):
        Synonym(vectors=path)
    with pytest.raises(ConfigError, match="missing"):
        Synonym(vectors=tmp_path / "none.txt")
