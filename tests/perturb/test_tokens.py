"""The guards' tables agree with each other and with the lexicon."""

import pytest

from emrobust import lexicon
from emrobust.perturb import Edit, facts, permits, tokens

LEXICON = lexicon.load()
NAMES = tokens.read_names(tokens.TABLES / "names.csv")
DRUGS = sorted(
    form
    for entry in LEXICON.entries
    if entry.type == "drug"
    for form in entry.forms
    if len(LEXICON.owners(form)) == 1
)
# Forms of one substance, which a note may name either way.
SAME = {frozenset({"硝苯地平", "硝苯地平控释片"}), frozenset({"玻璃酸钠", "玻璃酸钠滴眼液"})}


def test_no_drug_or_test_is_hidden_by_a_plain_word_or_a_cue():
    words = tokens.load().words
    hidden = [name for name in NAMES if words[name][0] not in {"drug", "lab"}]
    hidden += [form for form in DRUGS if words.get(form.lower(), ("",))[0] not in {"drug", "lab"}]
    assert not hidden


def test_every_drug_is_read_as_one_fact_and_so_may_not_be_cut():
    names = {name for name, (kind, _) in NAMES.items() if kind == "drug"} | set(DRUGS)
    cut = [name for name in names if [kind for kind, _ in facts(name).told] != ["drug"]]
    assert not cut


def test_concepts_that_the_lexicon_tells_apart_are_not_one_fact():
    concepts: dict[tuple[str, str], set[str]] = {}
    for name, fact in NAMES.items():
        owners = LEXICON.owners(name)
        if len(owners) == 1 and owners[0].type in {"drug", "test"}:
            concepts.setdefault(fact, set()).add(owners[0].formal)
    assert [of for of in concepts.values() if len(of) > 1 and frozenset(of) not in SAME] == []


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("莫西沙星", "莫沙必利"),
        ("非布司他", "非那雄胺"),
        ("非洛地平", "氨氯地平"),
        ("左炔诺孕酮", "地屈孕酮"),
        ("地屈孕酮", "黄体酮"),
        ("血培养", "尿培养"),
        ("莫西沙星", "莫西莎星"),
    ],
)
def test_a_drug_or_test_is_not_exchanged_for_another(name, other):
    assert not permits(f"予{name}，", [Edit(1, 1 + len(name), other)])
