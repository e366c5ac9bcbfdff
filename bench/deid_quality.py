"""De-identification: what is found, however it is spelled, what is taken too much, beside peers.

    python bench/deid_quality.py [--records 20000] [--data FOLDER] [--over] [--found]
                                 [--presidio PYTHON] [--jionlp PYTHON] [--quick]

clean, noisy  notes of a clinic that no detector was tuned on, with bank cards and e-mail added;
              in `noisy` every planted value is spelled otherwise: full width, blanks, line breaks,
              dashes, Chinese numerals. Recall by kind, and by way of spelling.
sentences     tests/deid/sentences.txt, hand-written, with traps (the detectors were mended on it).
over          what is taken of chip_ctc and haodf_triage (in --data), by kind. Calendar dates and
              institutions with a place in their name are identifiers by any policy, though nobody
              planted them; they are counted apart. The rest is an upper bound of what is wrong.
found         what is found in ccl_icd and tcm_tbosd: counts by kind, never a text.
peers         the same clinic notes, batch by batch in turn, through each peer that an environment
              of its own has (`pip install presidio-analyzer`; `pip install jionlp`). Presidio runs
              without a language model, so with its rules only; China's phones are switched on.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from deid import SENTENCES, Engine, compare, jionlp, ours, plain, read_clinic
from emrobust.deid.forms import luhn_check
from emrobust.deid.scoring import Marked, Tally, read_marked
from emrobust.deid.spans import Span
from emrobust.deid.tables import either
from emrobust.rng import generator

DATA = Path(__file__).parents[2] / "shared" / "data"
SEED = 20_251
WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
CLEAN = {wide: code for code, wide in WIDE.items()} | {ord(" "): None}
HAN = str.maketrans("0123456789", "〇一二三四五六七八九")
LONG = ("id_card", "bank_card", "phone")
NUMBERS = (*LONG, "social_security", "visit_no")
DATED = re.compile(r"[年月日号]|\d[-./]\d{1,2}[-./]\d|[初廿]|大年")
PLACED = re.compile(
    rf"{either('places.toml', 'provinces')}|{either('places.toml', 'cities')}"
    rf"|{either('places.toml', 'hospitals')}|大学|市|县|区"
)
PRESIDIO = """
import contextlib, io, json, logging, sys, time
logging.disable(logging.CRITICAL)
with contextlib.redirect_stdout(io.StringIO()):
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, PhoneRecognizer
    engine = SpacyNlpEngine(models=[{"lang_code": "zh", "model_name": "blank"}])
    engine.nlp = {"zh": spacy.blank("zh")}
    engine.load = lambda: None
    registry = RecognizerRegistry(supported_languages=["zh"])
    registry.load_predefined_recognizers(languages=["zh"])
    registry.remove_recognizer("PhoneRecognizer")
    registry.add_recognizer(PhoneRecognizer(supported_language="zh", supported_regions=("CN",)))
    registry.add_recognizer(CreditCardRecognizer(supported_language="zh"))
    analyzer = AnalyzerEngine(nlp_engine=engine, registry=registry, supported_languages=["zh"])
kinds = {"PHONE_NUMBER": "phone", "EMAIL_ADDRESS": "email", "URL": "url", "IP_ADDRESS": "ip",
         "CREDIT_CARD": "bank_card", "DATE_TIME": "date", "PERSON": "person_name"}
for line in sys.stdin:
    found, start = [], time.process_time()
    for text in json.loads(line):
        found.append([[one.start, one.end, kinds.get(one.entity_type, "visit_no")]
                      for one in analyzer.analyze(text, language="zh") if one.score >= 0.4])
    print(json.dumps([time.process_time() - start, found]), flush=True)
"""

Draw = Callable[[int], int]


def presidio(python: Path) -> Engine:
    """Presidio in its own environment."""
    worker = subprocess.Popen(
        [python, "-c", PRESIDIO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def run(texts: Sequence[str]) -> tuple[float, list[list[Span]]]:
        if worker.stdin is None or worker.stdout is None:
            raise RuntimeError("Presidio's process has no pipes")
        worker.stdin.write(json.dumps(texts) + "\n")
        worker.stdin.flush()
        taken, found = json.loads(worker.stdout.readline())
        return taken, [[Span(a, b, k, 1.0, "presidio", "") for a, b, k in one] for one in found]

    return run


def plant(note: Marked, draw: Draw) -> Marked:
    """The note with a bank card and an e-mail address at its end, each labelled or not."""
    body = "62" + "".join(str(draw(10)) for _ in range((14, 13, 16)[draw(3)]))
    name = "".join("abcdefghkmnpqrstwxyz._0123456789"[draw(20 if n < 1 else 32)] for n in range(8))
    host = ("qq.com", "163.com", "mail.example.com.cn", "sina.cn")[draw(4)]
    text, truth = note.text.rstrip("\n"), list(note.truth)
    added = (
        (("银行卡号：", "退费至", "卡号")[draw(3)], body + luhn_check(body), "bank_card"),
        (("邮箱", "E-mail：", "报告发至")[draw(3)], f"{name}0@{host}", "email"),
    )
    for label, value, kind in added:
        text += f"。{label}"
        truth.append((len(text), len(text) + len(value), kind))
        text += value
    return Marked(text + "。\n", tuple(truth))


def ways_of(kind: str, value: str) -> list[str]:
    """How a value of this kind is also written."""
    if kind in NUMBERS:
        return ["wide", "blanks", "break"] + ["han", "dashes"] * (kind in LONG and "-" not in value)
    if kind == "email":
        return ["wide", "blanks"]
    if kind.endswith("_name"):
        return ["blanks"] if len(value) in (2, 3) and "·" not in value else []
    return ["wide"] if re.search(r"\d", value) else []


def respell(way: str, kind: str, value: str, draw: Draw) -> str:
    """A value in another spelling."""
    if way in ("wide", "han"):
        return value.translate(WIDE if way == "wide" else HAN)
    if kind == "email":
        return value.replace("@", " @ ")
    if kind.endswith("_name"):
        return " ".join(value)
    gap = {"break": "\n", "blanks": " ", "dashes": "-"}[way]
    if "-" in value:
        return value.replace("-", gap)
    if way == "break" or kind not in LONG:
        cut = 3 + draw(max(1, len(value) - 5))
        return value[:cut] + gap + value[cut:]
    first = {"phone": 3, "id_card": 6}.get(kind, 4)
    size = {"id_card": 8}.get(kind, 4)
    rest = [value[at : at + size] for at in range(first, len(value), size)]
    return gap.join([value[:first], *rest])


def disturb(note: Marked, draw: Draw) -> tuple[Marked, list[str]]:
    """The note with every value spelled otherwise, and how each is now."""
    text, truth, ways, done = "", [], [], 0
    for start, end, kind in sorted(note.truth):
        value = note.text[start:end]
        value = value.translate(CLEAN) if kind in NUMBERS else value
        choices = ways_of(kind, value)
        way = choices[draw(len(choices))] if choices else "as it is"
        text += note.text[done:start]
        value = respell(way, kind, value, draw) if choices else value
        truth.append((len(text), len(text) + len(value), kind))
        ways.append(way)
        text += value
        done = end
    return Marked(text + note.text[done:], tuple(truth)), ways


def score(engine: Engine, notes: Sequence[Marked]) -> dict[str, Any]:
    """Recall, precision and whole documents of some notes."""
    tally = Tally()
    for note, spans in zip(notes, engine([note.text for note in notes])[1], strict=True):
        tally.add(note.text, note.truth, spans)
    return tally.figures()


def drawing(name: str, notes: int) -> Draw:
    """A seeded stream that is long enough for so many notes."""
    numbers = iter(generator(SEED, "deid", name).random(200 * notes).tolist())
    return lambda below: int(next(numbers) * below)


def spell(engine: Engine, planted: Sequence[Marked]) -> dict[str, Any]:
    """Clean and noisy spellings of notes; at the noisy ones recall by way."""
    draw = drawing("noise", len(planted))
    noisy = [disturb(note, draw) for note in planted]
    true: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for (note, ways), spans in zip(noisy, engine([n.text for n, _ in noisy])[1], strict=True):
        for (start, end, kind), way in zip(note.truth, ways, strict=True):
            tally = Tally()
            true[f"{kind} {way}"] += 1
            found[f"{kind} {way}"] += not tally.add(note.text, [(start, end, kind)], spans)
    by_way = {key: [true[key], round(found[key] / true[key], 4)] for key in sorted(true)}
    noise = {**score(engine, [note for note, _ in noisy]), "by_way": by_way}
    return {"clean": score(engine, planted), "noisy": noise}


def read_rows(data: Path, name: str) -> Iterator[str]:
    """The texts of a public table; nothing of them is kept."""
    if name in ("chip_ctc", "haodf_triage"):
        files = ("train", "validation") if name == "chip_ctc" else ("train", "unlabelled")
        for file in files:
            with (data / name / f"{file}.csv").open(encoding="utf-8", newline="") as handle:
                for row in csv.DictReader(handle):
                    for column in ("text", "complaint", "description", "title", "help_wanted"):
                        if row.get(column):
                            yield row[column]
        return
    path = data / name / ("records.json" if name == "ccl_icd" else "train.json")
    raw = path.read_text(encoding="utf-8")
    try:
        rows = json.loads(raw)
    except json.JSONDecodeError:
        rows = [json.loads(line) for line in raw.splitlines() if line]
    for row in rows.values() if isinstance(rows, dict) else rows:
        for value in row.values():
            if isinstance(value, str) and value:
                yield value


def take(engine: Engine, data: Path, name: str) -> dict[str, Any]:
    """What is taken of a table: spans and characters by kind, and those that nobody may want."""
    texts = list(read_rows(data, name))
    characters = sum(map(len, texts))
    spans: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    rest: Counter[str] = Counter()
    touched = 0
    for text, found in zip(texts, engine(texts)[1], strict=True):
        touched += bool(found)
        for span in found:
            words = text[span.start : span.end]
            size = sum(map(str.isalnum, words))
            spans[span.kind] += 1
            taken[span.kind] += size
            dated = span.kind == "date" and DATED.search(words)
            placed = span.kind in ("hospital", "address") and PLACED.search(words)
            rest[span.kind] += 0 if dated or placed else size
    return {
        "texts": len(texts),
        "touched": touched,
        "characters": characters,
        "spans": dict(spans),
        "characters_taken": dict(taken),
        "rest": {kind: size for kind, size in rest.items() if size},
        "one_in": round(characters / max(1, taken.total())),
        "rest_one_in": round(characters / max(1, rest.total())),
    }


def take_all(
    engine: Engine, data: Path, names: Sequence[str], *, wanted: bool
) -> dict[str, Any] | str:
    """`take` of some tables, or why not."""
    if not wanted:
        return "not asked for"
    missing = [name for name in names if not (data / name).is_dir()]
    return f"{data} lacks {missing}" if missing else {n: take(engine, data, n) for n in names}


def main() -> None:
    """Measure, and print one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--peer-records", type=int, default=12_000)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--over", action="store_true", help="chip_ctc and haodf_triage")
    parser.add_argument("--found", action="store_true", help="ccl_icd and tcm_tbosd")
    parser.add_argument("--presidio", type=Path, help="Python of an environment with Presidio")
    parser.add_argument("--jionlp", type=Path, help="Python of an environment with JioNLP")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    engine = ours()
    notes = read_clinic(400 if arguments.quick else arguments.records)
    draw = drawing("planted", len(notes))
    notes = [plant(note, draw) for note in notes]
    peers = {"plain": plain()}
    if arguments.presidio:
        peers["presidio"] = presidio(arguments.presidio)
    if arguments.jionlp:
        peers["jionlp"] = jionlp(arguments.jionlp)
    engines = {"ours": engine, **peers}
    for each in engines.values():
        each(["患者"])
    print(f"{len(notes)} notes", file=sys.stderr)
    side_by_side = compare(notes[: arguments.peer_records], engines)
    peer = next((name for name in ("presidio", "jionlp") if name in peers), "plain")
    speed = {name: of["records_per_second"] for name, of in side_by_side.items()}
    sentences = list(read_marked(SENTENCES))
    over, found = ("chip_ctc", "haodf_triage"), ("ccl_icd", "tcm_tbosd")
    print(
        json.dumps(
            {
                "name": "deid_quality",
                "ours": speed["ours"],
                "peer": speed[peer],
                "ratio": speed["ours"] / speed[peer],
                "unit": "records/s on one core",
                "peer_is": peer,
                "records": len(notes),
                **spell(engine, notes),
                "sentences": {"texts": len(sentences), **score(engine, sentences)},
                "peers": side_by_side,
                "over": take_all(engine, arguments.data, over, wanted=arguments.over),
                "found": take_all(engine, arguments.data, found, wanted=arguments.found),
            },
            ensure_ascii=False,
        )
    )


if __name__ == "__main__":
    main()
