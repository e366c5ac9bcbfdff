"""No registered perturbation changes a guarded fact of ten thousand visits of the clinic.

The judge is the clinic's own truth, the spans that it wrote its notes with, and not the guards:
it only uses where the edits have moved a span, and rules of its own for equivalent writings.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from typing import NamedTuple

import pytest

from emrobust import registry
from emrobust.augment.cache import Cache
from emrobust.augment.masked_lm import Job, MaskedLM
from emrobust.clinic import tables
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import build
from emrobust.clinic.notes import FIELDS
from emrobust.clinic.style import load_style
from emrobust.clinic.tables import FOLDER, rows
from emrobust.clinic.wording import chinese, load_lexicon
from emrobust.perturb import Edit, Offsets, perturb_all
from emrobust.perturb.edits import join

BLOCKS = 2  # of 5,000 visits
STOP = re.compile(r"[，。；：,;:!！\n]|\.(?!\d)")
JOINT = re.compile(r"[，。；：,;:!！\n、/\s]|\.(?!\d)")
# A denial, and not a word for a weakness such as 没胃口.
NEGATING = re.compile("[无未否]|没(?!胃口|意思|劲|力|精神|食欲|兴趣|味|知觉|睡|心思|记性)")
FIGURE = re.compile(r"\d|\.\d")
# Words of sentences.csv that tell of others, of the past, or of doubt.
CUES = re.compile(
    "父亲|母亲|其兄|姐姐|祖父|其母|家人|同事|同学|家族史|曾|去年|既往|以前|得过|已愈|已治愈|消失"
    "|似有|不能肯定|偶感|待排|担心是|考虑|？"
)
UNITS = {"天": "d", "日": "d", "周": "w", "星期": "w", "个星期": "w", "礼拜": "w", "个礼拜": "w"}
UNITS |= {"wk": "w", "月": "m", "个月": "m", "mo": "m", "年": "y", "小时": "h", "个小时": "h"}
UNITS |= {"个钟头": "h", "钟头": "h", "yr": "y", "yrs": "y", "个年头": "y", "年头": "y", "个m": "m"}
UNITS |= {"天头": "d", "hr": "h", "hrs": "h", "mos": "m", "wks": "w", "days": "d", "day": "d"}
NUMERALS = {chinese(n): str(n) for n in range(99, 0, -1)} | {"二": "2", "半": "0.5"}
DOSES = {
    "每日": "每日",
    "每天": "每日",
    "一": "1",
    "二": "2",
    "两": "2",
    "三": "3",
    "次/天": "次/日",
}
DOSES |= {"每日1次": "qd", "每日2次": "bid", "每日3次": "tid", "2次/日": "bid", "3次/日": "tid"}
DOSES |= {"1次/日": "qd", "毫克": "mg", "克": "g", "每晚1次": "qn", "每晚": "qn", "睡前": "qn"}
# Words inside a finding that are not what was found: 胸口像压块石头, 长期服用阿司匹林.
JOINING = {
    *"的地就才也亦都均又再和与并且像如向往说诉称讲是为因由时吗嘛呢",
    *("服用", "自服", "使用", "应用", "治疗", "诊疗", "医治", "诊治", "救治", "处置", "处理"),
    *(
        "药物",
        "药品",
        "患者",
        "病人",
        "本人",
        "外院",
        "我院",
        "医院",
        "检查",
        "查看",
        "看到",
        "提示",
    ),
    *("近期", "近来", "最近", "时候", "当时", "以后", "之后", "诱发", "引发", "引起"),
    *("觉得", "感觉", "感到", "自觉"),
}
EXACT = {"negation", "side", "vital", "number", "date", "age", "drug", "dose", "duration", "normal"}
DENIED = {"finding_denied", "denied"}
TOLD = {"finding_family", "finding_past", "finding_uncertain", "disease_family"}


class Span(NamedTuple):
    start: int
    end: int
    kind: str
    value: str


class Check(NamedTuple):
    """Something to look at where an edit has come between start and end."""

    start: int
    end: int
    kind: str
    first: Span
    second: Span


class Note(NamedTuple):
    text: str
    checks: list[Check]
    spans: list[Span]


def read_note(row, spans) -> Note:
    """The fields as one text, a line each, and what the truth says about it."""
    at, text = {}, ""
    for field, words in zip(FIELDS, row[7:10], strict=True):
        at[field] = len(text)
        text += words + "\n"
    found = [
        Span(at[s["field"]] + s["start"], at[s["field"]] + s["end"], s["kind"], s["value"])
        for s in spans
    ]
    found.sort()
    return Note(text, list(make_checks(text, found)), found)


def make_checks(text, spans):
    stops = [match.start() for match in STOP.finditer(text)]
    forward = [span for span in spans if span.kind == "negation" and span.value != "(-)"]
    marks = [span for span in spans if span.kind == "negation" and span.value == "(-)"]
    for span in spans:
        place = bisect_left(stops, span.start)
        clause = stops[place - 1] + 1 if place else 0
        before = forward[bisect_left(forward, span) - 1] if forward and forward[0] < span else None
        after = next((mark for mark in marks if mark.start >= span.end), None)
        if span.kind in EXACT:
            yield Check(span.start, span.end, "exact", span, span)
        elif span.kind in DENIED:
            cue = after if after and after.start == span.end else before
            assert cue is not None
            yield Check(min(cue[0], span[0]), max(cue[1], span[1]), "denied", cue, span)
        elif span.kind == "finding_present":
            # It must not come under a cue that denies another finding.
            if before is not None and before.end <= clause:
                yield Check(before.start, span.end, "stop", before, span)
            if after is not None and JOINT.search(text, span.end, after.start):
                yield Check(span.start, after.end, "joint", span, after)
            yield Check(clause, span.end, "prefix", Span(clause, span.start, "", ""), span)
        elif span.kind in TOLD:
            place = bisect_right(stops, span.end - 1)
            finish = stops[place] if place < len(stops) else len(text)
            yield Check(clause, finish, "told", Span(clause, finish, "clause", ""), span)


@pytest.fixture(scope="module")
def notes() -> list[Note]:
    clinic, found = build(), []
    for number in range(BLOCKS):
        pages = write_block(clinic, 20260101, number)
        truth = pages.truth["spans"].to_pylist()
        found += [read_note(row, of) for row, of in zip(pages.outpatient, truth, strict=True)]
    assert len(found) == 10_000
    return found


class Wordings(NamedTuple):
    """What the clinic itself writes for one thing.

    signs: prefix of a reading → its vital signs; denials: words that deny;
    drugs: pairs that stand in the wordings of one finding.
    """

    signs: dict[str, set[str]]
    denials: set[str]
    drugs: set[tuple[str, str]]


def read_wordings() -> Wordings:
    signs: dict[str, set[str]] = {}
    for row in rows(FOLDER / "readings.csv"):
        for word in row.text("wordings").split("|"):
            name = word.partition("{}")[0].strip(" :：").lower()
            signs.setdefault(name, set()).add(row.text("vital"))
    signs |= {
        "氧饱和度": {"oxygen"},
        "氧": {"oxygen"},
        "血糖": {"glucose"},
        "bg": {"glucose"},
        "bs": {"glucose"},
    }
    sites = load_style().sites
    denials = {word for site in sites for word in (*site.denials, *site.unseen)} | {"(-)"}
    drugs = set()
    for finding in tables.load().findings:
        words = [word for register in finding.words for word in register]
        named = [d for d in load_lexicon().drug_names if any(d in word for word in words)]
        drugs |= {(one, other) for one in named for other in named}
    return Wordings(signs, denials, drugs)


@pytest.fixture(scope="module")
def wordings() -> Wordings:
    return read_wordings()


def normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower().replace(" ", "")


def amounts(text: str) -> list[str]:
    """Numbers in order, whatever figures they are written in."""
    text = normal(text)
    for numeral, figures in NUMERALS.items():
        text = text.replace(numeral, figures)
    return [f"{float(number):g}" for number in re.findall(r"\d+(?:\.\d+)?", text)]


def dose(text: str) -> str:
    text = normal(text)
    for word, short in DOSES.items():
        text = text.replace(word, short)
    return text


def unit(text: str) -> str:
    """What stands behind the last figure."""
    letters = re.split(r"[\d.]|" + "|".join(NUMERALS), normal(text))[-1]
    letters = re.sub("[多余来+半]|个(?=把)|把", "", letters)
    return UNITS.get(letters, letters)


def sign(text: str, signs: dict[str, set[str]]) -> set[str]:
    """The vital signs whose names end what stands before the figures."""
    written = re.split(r"[:\d]", normal(text), maxsplit=1)[0]
    return {vital for name, vitals in signs.items() if written.endswith(name) for vital in vitals}


def says_the_same(kind: str, old: str, new: str, wordings: Wordings) -> bool:
    """Whether two writings tell one fact, by rules that the guards don't know."""
    if normal(old) == normal(new):
        return True
    rules = {
        "negation": lambda: normal(new) in wordings.denials,
        # What is not seen may get a typing error, as a denied finding may.
        "normal": lambda: old[0] == "未" and new[0] in "未没无",
        "side": lambda: set("左右双") & set(old) == set("左右双") & set(new),
        "drug": lambda: (old, new) in wordings.drugs,
        "dose": lambda: dose(old) == dose(new),
        "duration": lambda: (amounts(old), unit(old)) == (amounts(new), unit(new)),
        "vital": lambda: reads_the_same(old, new, wordings.signs),
    }
    return rules.get(kind, lambda: amounts(old) == amounts(new) != [])()


def reads_the_same(old: str, new: str, signs: dict[str, set[str]]) -> bool:
    """The same vital sign with the same figures; the unit goes without saying."""
    figures = amounts(old)[-2:]
    return bool(sign(old, signs) & sign(new, signs)) and amounts(new)[-len(figures) :] == figures


def has_grown(text: str, span: tuple[int, int], note: Note, old: Span) -> bool:
    """Whether a number has been continued on either side: 3天 → 13天."""
    was = (note.text[max(old.start - 1, 0) : old.start], note.text[old.end : old.end + 2])
    now = (text[max(span[0] - 1, 0) : span[0]], text[span[1] : span[1] + 2])
    ends = (note.text[old.start], note.text[old.end - 1])
    return any(
        FIGURE.match(end) and FIGURE.match(after) and not FIGURE.match(before)
        for before, after, end in zip(was, now, ends, strict=True)
    )


def holds(check: Check, note: Note, text: str, moved: Offsets, wordings: Wordings) -> bool:
    """Whether what the check is about is still so in ``text``."""
    first = moved.span(check.first.start, check.first.end)
    second = moved.span(check.second.start, check.second.end)
    old, new = note.text[check.first.start : check.first.end], text[slice(*first)]
    between = text[first[1] : second[0]]
    if check.kind == "exact":
        # A replacement that holds more than the span is compared as a whole.
        old = note.text[slice(*moved.cover(check.first.start, check.first.end))]
        same = says_the_same(check.first.kind, old, new, wordings)
        return same and not has_grown(text, first, note, check.first)
    if check.kind == "told":
        return sorted(map(normal, CUES.findall(old))) == sorted(map(normal, CUES.findall(new)))
    if check.kind == "prefix":
        return len(NEGATING.findall(new)) <= len(NEGATING.findall(old))
    if check.kind == "denied":
        if check.second.end <= check.first.start:  # marked as 咳嗽(-)
            return not JOINT.search(text[second[1] : first[0]])
        return second[1] > second[0] and not STOP.search(between)
    return bool((STOP if check.kind == "stop" else JOINT).search(between))


def verdict(note: Note, perturbed, wordings: Wordings) -> Check | None:
    """The first check that fails."""
    edits = perturbed.edits
    moved = Offsets(edits)
    starts, ends = [edit.start for edit in edits], [edit.end for edit in edits]
    for check in note.checks:
        # An edit that ends where the check begins, or begins where it ends, counts.
        place = bisect_left(ends, check.start)
        near = place < len(starts) and starts[place] <= check.end
        if near and not holds(check, note, perturbed.text, moved, wordings):
            return check
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names("perturbation"))
def test_no_guarded_fact_changes_in_ten_thousand_visits(name, notes, wordings):
    component = registry.get("perturbation", name)
    results = perturb_all([note.text for note in notes], [component()], 7, range(len(notes)))
    changed, broken = 0, []
    for note, perturbed in zip(notes, results, strict=True):
        if perturbed.edits:
            changed += 1
            if failed := verdict(note, perturbed, wordings):
                broken.append((failed, note.text, perturbed.edits))
    assert not broken, (len(broken), broken[:3])
    assert changed > 200 or component.language == "en"


def touched(note: Note, edits: list[Edit]) -> list[tuple[str, Edit]]:
    """Edits within what the clinic wrote as a fact, but for words that only join others there."""
    return [
        (span.kind, edit)
        for span in note.spans
        if span.kind.startswith("finding")
        for edit in edits
        if edit.start < span.end
        and span.start < edit.end
        and not {edit.text, note.text[edit.start : edit.end]} <= JOINING
    ]


@pytest.mark.slow
def test_the_masked_lm_writes_no_other_finding_in_a_thousand_visits(notes, wordings):
    visits = notes[:1000]
    jobs = [Job(note.text, number) for number, note in enumerate(visits)]
    filled = MaskedLM("emrobust/zh-small").fill(jobs, Cache())
    judged = [
        (verdict(note, done, wordings), touched(note, done.edits), note.text)
        for note, done in zip(visits, filled, strict=True)
    ]
    broken = [failed for failed in judged if any(failed[:2])]
    assert not broken, (len(broken), broken[:3])
    assert sum(bool(done.edits) for done in filled) > 700


WRONG = [
    ("无发热、咳嗽", [("无", "negation"), ("发热", "finding_denied")], Edit(0, 1, "有")),
    ("无发热、咳嗽", [("无", "negation"), ("咳嗽", "finding_denied")], Edit(3, 3, "，")),
    ("无发热，咳嗽", [("无", "negation"), ("咳嗽", "finding_present")], Edit(3, 4, "")),
    ("咳嗽、发热(-)", [("咳嗽", "finding_present"), ("(-)", "negation")], Edit(2, 3, "")),
    ("近日咳嗽", [("咳嗽", "finding_present")], Edit(0, 2, "未见")),
    ("病3天", [("3天", "duration")], Edit(1, 1, "1")),
    ("病3天", [("3天", "duration")], Edit(2, 3, "周")),
    ("T38.5", [("T38.5", "vital")], Edit(0, 1, "P")),
    ("左膝痛", [("左", "side")], Edit(0, 1, "右")),
    ("服代文", [("代文", "drug")], Edit(1, 2, "伐")),
    ("家人有咳嗽", [("咳嗽", "finding_family")], Edit(0, 2, "本人")),
]


@pytest.mark.parametrize(("text", "spans", "edit"), WRONG)
def test_the_judge_sees_what_is_wrong(text, spans, edit, wordings):
    class Done(NamedTuple):
        text: str
        edits: list[Edit]

    found = sorted(
        Span(text.index(words), text.index(words) + len(words), kind, words)
        for words, kind in spans
    )
    note = Note(text, list(make_checks(text, found)), found)
    assert verdict(note, Done(join(text, [edit]), [edit]), wordings)
    assert verdict(note, Done(text, []), wordings) is None
