"""De-identification: recall, precision, what is taken too much, and records a second.

    python bench/deid.py [--records 5000] [--jionlp PYTHON] [--quick]

clinic      notes of a seed that no detector was tuned on, against the clinic's own truth.
sentences   tests/deid/sentences.txt, hand-written, with traps (the detectors were mended on it).
medical     characters taken of the lexicon's terms, which hold no identifier.
speed       records a second on one core, all detectors; `peer` in turn on the same records:
            JioNLP's extractors, where --jionlp names the Python of an environment that has it
            (`pip install jionlp`), else eight plain regular expressions without any context.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emrobust import lexicon
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import build
from emrobust.clinic.notes import FIELDS
from emrobust.deid.detect import detect, load
from emrobust.deid.scoring import Marked, Tally, read_marked
from emrobust.deid.spans import Span, resolve
from emrobust.placeholders import PLACEHOLDERS

SENTENCES = Path(__file__).parent.parent / "tests" / "deid" / "sentences.txt"
SEED = 20_251  # of a clinic that was never looked at
BLOCK = 5_000
BATCH = 200
OLD = 90
PLAIN = {
    "phone": r"1[3-9]\d{9}|0\d{2,3}-\d{7,8}",
    "id_card": r"\d{17}[\dXx]",
    "email": r"[\w.]+@[\w.]+",
    "url": r"https?://\S+",
    "ip": r"\d+\.\d+\.\d+\.\d+",
    "date": r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?",
    "hospital": r"[\u4e00-\u9fff]{2,12}医院",
    "address": r"[\u4e00-\u9fff]{2,6}[市县][\u4e00-\u9fff\d]{2,30}[号室]",
}
# What JioNLP extracts with offsets → our kinds; it has no extractor of names.
WORKER = """
import contextlib, io, json, sys, time
with contextlib.redirect_stdout(io.StringIO()):
    import jionlp as jio
kinds = {"phone": jio.extract_phone_number, "id_card": jio.extract_id_card,
         "email": jio.extract_email, "url": jio.extract_url, "ip": jio.extract_ip_address,
         "plate": jio.extract_motor_vehicle_licence_plate, "account": jio.extract_wechat_id}
for line in sys.stdin:
    found, start = [], time.process_time()
    for text in json.loads(line):
        found.append([[*one["offset"], kind] for kind, extract in kinds.items()
                      for one in extract(text, detail=True)])
    print(json.dumps([time.process_time() - start, found]), flush=True)
"""

Engine = Callable[[Sequence[str]], tuple[float, list[list[Span]]]]


def read_clinic(records: int) -> list[Marked]:
    """Notes, their fields joined by line breaks, with the identifiers that the truth names."""
    clinic, notes = build(), []
    for number in range(-(-records // BLOCK)):
        pages = write_block(clinic, SEED, number, rows=min(BLOCK, records - number * BLOCK))
        for note, spans in zip(pages.notes, pages.truth.column("spans").to_pylist(), strict=True):
            starts, text = {}, ""
            for field, part in zip(FIELDS, note[1:], strict=True):
                starts[field] = len(text)
                text += f"{part}\n"
            notes.append(
                Marked(
                    text,
                    tuple(
                        (starts[s["field"]] + s["start"], starts[s["field"]] + s["end"], s["kind"])
                        for s in spans
                        if s["kind"] in PLACEHOLDERS
                        and (s["kind"] != "age" or int(s["value"]) >= OLD)
                    ),
                )
            )
    return notes


def ours() -> Engine:
    """All detectors."""
    detectors = load()

    def run(texts: Sequence[str]) -> tuple[float, list[list[Span]]]:
        start = time.process_time()
        found = [detect(text, detectors) for text in texts]
        return time.process_time() - start, found

    return run


def plain() -> Engine:
    """Eight regular expressions."""
    patterns = {kind: re.compile(pattern) for kind, pattern in PLAIN.items()}

    def run(texts: Sequence[str]) -> tuple[float, list[list[Span]]]:
        start = time.process_time()
        found = [
            [
                Span(*match.span(), kind, 1.0, "plain", "")
                for kind, pattern in patterns.items()
                for match in pattern.finditer(text)
            ]
            for text in texts
        ]
        return time.process_time() - start, found

    return run


def jionlp(python: Path) -> Engine:
    """JioNLP in its own environment."""
    worker = subprocess.Popen(
        [python, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def run(texts: Sequence[str]) -> tuple[float, list[list[Span]]]:
        if worker.stdin is None or worker.stdout is None:
            raise RuntimeError("JioNLP's process has no pipes")
        worker.stdin.write(json.dumps(texts) + "\n")
        worker.stdin.flush()
        taken, found = json.loads(worker.stdout.readline())
        return taken, [[Span(a, b, k, 1.0, "jionlp", "") for a, b, k in one] for one in found]

    return run


def compare(notes: Sequence[Marked], engines: dict[str, Engine]) -> dict[str, Any]:
    """Speed and accuracy of every engine, batch by batch in turn."""
    tallies = {name: Tally() for name in engines}
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    for first in range(0, len(notes), BATCH):
        batch = notes[first : first + BATCH]
        for name, engine in engines.items():
            taken, found = engine([note.text for note in batch])
            speeds[name].append(len(batch) / taken)
            for note, spans in zip(batch, found, strict=True):
                tallies[name].add(note.text, note.truth, resolve(spans))
    return {
        name: {"records_per_second": round(statistics.median(speeds[name])), **tally.figures()}
        for name, tally in tallies.items()
    }


def score_sentences(engine: Engine) -> dict[str, Any]:
    """The hand-written sentences."""
    tally = Tally()
    for text, truth in read_marked(SENTENCES):
        tally.add(text, truth, engine([text])[1][0])
    return tally.figures()


def take_terms(engine: Engine) -> dict[str, Any]:
    """What is taken of the lexicon's terms: each stands alone in a sentence, which is hardest."""
    terms = sorted({form for entry in lexicon.load().entries for form in entry.forms})
    _, found = engine([f"患者{term}，{term}。" for term in terms])
    taken = [term for term, spans in zip(terms, found, strict=True) if spans]
    characters = sum(2 * len(term) + 4 for term in terms)
    removed = sum(span.end - span.start for spans in found for span in spans)
    return {"terms": len(terms), "touched": taken[:20], "removed": removed, "of": characters}


def main() -> None:
    """Measure, and print one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--jionlp", type=Path, help="Python of an environment with JioNLP")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    records = 600 if arguments.quick else arguments.records
    engine = ours()
    engine(["患者"])
    notes = read_clinic(records)
    peer = jionlp(arguments.jionlp) if arguments.jionlp else plain()
    peer(["患者"])
    print(f"{len(notes)} notes", file=sys.stderr)
    figures = compare(notes, {"ours": engine, "peer": peer})
    speeds = {name: of["records_per_second"] for name, of in figures.items()}
    size = statistics.mean(len(note.text.encode()) for note in notes)
    print(
        json.dumps(
            {
                "name": "deid",
                "ours": speeds["ours"],
                "peer": speeds["peer"],
                "ratio": speeds["ours"] / speeds["peer"],
                "unit": "records/s on one core",
                "peer_is": "JioNLP" if arguments.jionlp else "eight plain regular expressions",
                "megabytes_per_second": round(speeds["ours"] * size / 1e6, 2),
                "clinic": figures,
                "sentences": score_sentences(engine),
                "medical": take_terms(engine),
                "records": records,
            },
            ensure_ascii=False,
        )
    )


if __name__ == "__main__":
    main()
