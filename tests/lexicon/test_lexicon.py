import re
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emrobust import lexicon
from emrobust.errors import ConfigError
from emrobust.lexicon import table

LEXICON = lexicon.load()
FORMS = sorted({form for entry in LEXICON.entries for form in entry.forms})


def test_the_tables_hold_at_least_3000_pairs_with_source_and_no_pair_twice():
    pairs = [(e.type, e.formal, variant) for e in LEXICON.entries for variant in e.variants]
    assert len(set(pairs)) == len(pairs) >= 3000
    assert len({frozenset(pair[1:]) for pair in pairs}) == len(pairs)
    assert {entry.type for entry in LEXICON.entries} == set(lexicon.TYPES)
    assert all(entry.source for entry in LEXICON.entries)
    assert all(entry.formal not in entry.variants for entry in LEXICON.entries)


def test_both_partitions_are_there_for_every_register_that_is_perturbed():
    variants = {variant for entry in LEXICON.entries for variant in entry.variants}
    share = sum(map(lexicon.held_out, variants)) / len(variants)
    assert 0.27 < share < 0.33
    for target in lexicon.REGISTERS:
        train = LEXICON.swaps(lexicon.TYPES, "formal", target, "train")
        test = LEXICON.swaps(lexicon.TYPES, "formal", target, "test")
        assert len(train) > len(test) > 30


def test_no_pair_is_in_both_partitions():
    def pairs(use):
        found = set()
        for source, target in (
            ("formal", "formal"),
            ("formal", "colloquial"),
            ("colloquial", "formal"),
            ("formal", "abbreviated"),
            ("abbreviated", "formal"),
        ):
            swaps = LEXICON.swaps(lexicon.TYPES, source, target, use)
            formal = {entry.formal for entry in LEXICON.entries}
            # The written word, or the replaced one where the formal term is written.
            found |= {term if other in formal else other for term in swaps for other in swaps[term]}
        return found

    assert not pairs("train") & pairs("test")
    assert pairs("train") | pairs("test") == pairs("all")


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(FORMS) | st.text("无有3天，发热x[]的。痛A", max_size=3), max_size=8)
)
def test_matches_are_exact_leftmost_longest_and_apart(parts):
    text = "".join(parts)
    end = 0
    for match in LEXICON.find(text):
        assert match.start >= end
        end = match.end
        assert text[match.start : match.end] == match.form
        longer = [
            form
            for form in FORMS
            if len(form) > len(match.form)
            and text.startswith(form, match.start)
            and not re.match("[A-Za-z0-9_]", form[0])
            and not re.match("[A-Za-z0-9_]", form[-1])
        ]
        assert not longer


@given(st.sampled_from(FORMS))
def test_every_term_is_found_where_it_stands_alone(form):
    assert [match.form for match in LEXICON.find(f"，{form}。")] == [form]


@pytest.mark.parametrize(
    "text", ["CHDX", "XCHD", "3CHD", "[CHD]", "头发热", "感冒灵颗粒剂", "性头痛"]
)
def test_a_term_inside_another_word_is_not_found(text):
    assert not {"CHD", "发热", "感冒", "头痛"} & {match.form for match in LEXICON.find(text)}


def test_an_ambiguous_word_is_found_but_neither_replaced_nor_written():
    ambiguous = [form for form in FORMS if len(LEXICON.owners(form)) > 1]
    assert ambiguous
    for source in lexicon.REGISTERS:
        for target in lexicon.REGISTERS:
            swaps = LEXICON.swaps(lexicon.TYPES, source, target, "all")
            assert not set(ambiguous) & set(swaps)
            assert not set(ambiguous) & {other for others in swaps.values() for other in others}


def test_all_wrong_rows_are_told_with_their_lines_and_none_is_loaded(tmp_path):
    folder = tmp_path / "tables"
    shutil.copytree(table.FOLDER, folder)
    first = "formal,synonyms,colloquial,abbreviated,source\n"
    (folder / "symptom.csv").write_text(
        first
        + "头晕,头晕,,,x\n"  # itself
        + "发热,发烧|发烧,,,x\n"  # twice
        + "咳,咳嗽,,,x\n"  # one character
        + "腹痛,,,,x\n"  # nothing
        + "腹胀,肚子胀||胀肚,,,\n"  # an empty term, no source
        + "便秘,冠心病,,,x\n",  # formal elsewhere
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as error:
        lexicon.load(folder)
    told = str(error.value)
    for line, why in (
        (2, "to itself"),
        (3, "twice"),
        (4, "single character"),
        (5, "no other word"),
        (6, "empty"),
        (6, "no source"),
        (7, "formal term of disease.csv"),
    ):
        assert re.search(rf"symptom\.csv, line {line}: .*{why}", told), (line, why)


@pytest.mark.parametrize("name", ["symptom.csv", "measures.csv", "shield.csv"])
def test_a_missing_column_is_told(tmp_path, name):
    folder = tmp_path / "tables"
    shutil.copytree(table.FOLDER, folder)
    (folder / name).write_text("some,columns\n1,2\n", encoding="utf-8")
    load = lexicon.load_measures if name == "measures.csv" else lexicon.load
    with pytest.raises(ConfigError, match=f"{name} has no column"):
        load(folder)


def test_a_folder_replaces_the_tables_that_it_has(tmp_path):
    with pytest.raises(ConfigError, match="holds no table of a lexicon"):
        lexicon.load(tmp_path)
    own = "formal,synonyms,colloquial,abbreviated,source\n脚踝发沉,踝部发沉,脚脖子沉,,our notes\n"
    (tmp_path / "symptom.csv").write_text(own, encoding="utf-8")
    known = lexicon.load(tmp_path)
    assert [entry.formal for entry in known.entries if entry.type == "symptom"] == ["脚踝发沉"]
    others = [entry for entry in LEXICON.entries if entry.type != "symptom"]
    assert [entry for entry in known.entries if entry.type != "symptom"] == others
    assert set(LEXICON.words) - set(known.words)


def test_a_wrong_row_of_ones_own_is_told_apart_from_a_shipped_one(tmp_path):
    other = next(entry for entry in LEXICON.entries if entry.type == "disease")
    row = f"脚踝发沉,{other.formal},,,our notes"
    own = f"formal,synonyms,colloquial,abbreviated,source\n{row}\n"
    (tmp_path / "symptom.csv").write_text(own, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        lexicon.load(tmp_path)
    told = f"the shipped disease.csv, line {other.line}"
    assert f"symptom.csv, line 2: {other.formal!r} is the formal term of {told}" in str(error.value)


def test_a_term_of_ones_own_may_be_what_the_shipped_shield_holds(tmp_path):
    rows = table.cells(table.FOLDER / table.SHIELD, ("word", "reason"))
    word = next(row["word"] for _, row in rows)
    own = f"formal,synonyms,colloquial,abbreviated,source\n脚踝发沉,{word},,,our notes\n"
    (tmp_path / "symptom.csv").write_text(own, encoding="utf-8")
    assert lexicon.load(tmp_path).owners(word)
    (tmp_path / "shield.csv").write_text(f"word,reason\n{word},own\n", encoding="utf-8")
    lexicon.load.cache_clear()
    with pytest.raises(ConfigError, match=r"- shield\.csv, line 2: the word is a term"):
        lexicon.load(tmp_path)


def test_a_folder_may_hold_a_shield_or_measures_alone(tmp_path):
    (tmp_path / "shield.csv").write_text("word,reason\n拉肚子药,own\n", encoding="utf-8")
    known = lexicon.load(tmp_path)
    assert known.entries == LEXICON.entries
    assert not [match.form for match in known.find("吃了拉肚子药") if match.form == "拉肚子"]
    own = "name,formal,colloquial,abbreviated,low,high,low2,high2,not_before,not_after,source\n"
    own += "steps,走{n}步,,{n}bu,,,,,,,our notes\n"
    (tmp_path / "measures.csv").write_text(own, encoding="utf-8")
    assert lexicon.load_measures(tmp_path).find("走300步")
    assert not lexicon.load_measures(tmp_path).find("体温38.5℃")
