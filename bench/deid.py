"""De-identification: recall, precision, what is taken too much, and records a second.

    python bench/deid.py [--records 20000] [--jionlp PYTHON] [--quick]
    python bench/deid.py --memory 1000000     # peak memory at so many rows and at twice as many
    python bench/deid.py --fuzz               # time of hostile texts of one length and of twice it

clinic      notes of a seed that no detector was tuned on, against the clinic's own truth.
sentences   tests/deid/sentences.txt, hand-written, with traps (the detectors were mended on it).
medical     characters taken of the lexicon's terms, which hold no identifier.
table       MB of a CSV table a second on one core, from reading to writing: what the second
            half of the rows takes, so that starting up is not in it.
speed       records a second on one core, all detectors; `peer` in turn on the same records:
            JioNLP's extractors, where --jionlp names the Python of an environment that has it
            (`pip install jionlp`), else eight plain regular expressions without any context.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from emrobust import lexicon, records
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import build
from emrobust.clinic.notes import FIELDS
from emrobust.config import Deid
from emrobust.deid import Deidentifier
from emrobust.deid.detect import detect, detect_all, load
from emrobust.deid.scoring import Marked, Tally, read_marked
from emrobust.deid.spans import Span, resolve
from emrobust.pipeline.deid_table import Plan, treat_table
from emrobust.placeholders import PLACEHOLDERS

SENTENCES = Path(__file__).parent.parent / "tests" / "deid" / "sentences.txt"
SEED = 20_251  # of a clinic that was never looked at
BLOCK = 5_000
BATCH = 4_000
WORDS = (
    *("1 ", "1", "市区", "第一人民", "A.A-", "住院号1-", "张王李赵", "a@", "医院", "一二三四五六"),
    *(
        "Aaaa ",
        "路巷弄村",
        "2023年",
        "A1-",
        "0 (",
        "::1",
        "张 ",
        "在",
        "某",
        "Dr. A",
        "A",
        "A ",
        "0-",
    ),
)
LETTERS = 60_000
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
        found = detect_all(texts, detectors)
        taken = time.process_time() - start
        return taken, [found.get(place, []) for place in range(len(texts))]

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


def write_table(path: Path, notes: Sequence[Marked]) -> int:
    """The notes as a CSV table; its bytes."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("note",))
        writer.writerows([note.text] for note in notes)
    return path.stat().st_size


def treat(notes: Sequence[Marked]) -> float:
    """MB of a table a second: what the second half of the rows costs."""
    times, sizes = [], []
    settings = Deid(enabled=True, workers=1, audit_rows=0, accept_identifiers=True)
    with tempfile.TemporaryDirectory() as folder:
        for part in (
            notes[:100],
            notes[: len(notes) // 2],
            notes,
        ):  # the first builds what is built once
            table, out = Path(folder, f"{len(part)}.csv"), Path(folder, f"{len(part)}.out.csv")
            sizes.append(write_table(table, part))
            start = time.process_time()
            treat_table(table, out, Plan(("note",)), settings)
            times.append(time.process_time() - start)
    return (sizes[2] - sizes[1]) / (times[2] - times[1]) / 1e6


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """Records that are made as they are asked for: new numbers, the clinic's texts."""
    texts = [note.text for note in read_clinic(BLOCK)]
    schema = records.schema(("note",))
    for first in range(0, rows, BLOCK):
        numbers = [f"{first + place:012d}" for place in range(min(BLOCK, rows - first))]
        made = {"record_id": numbers, "patient_id": numbers, "text_note": texts[: len(numbers)]}
        nothing = [None] * len(numbers)
        columns = [pa.array(made.get(of.name, nothing), of.type) for of in schema]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def peak(rows: int) -> float:
    """Peak memory of this process, in MB, after so many rows."""
    settings = Deid(enabled=True, workers=1, accept_identifiers=True)
    seen = sum(batch.num_rows for batch in Deidentifier(settings).stream(batches(rows)))
    if seen != rows:
        raise RuntimeError(f"{seen} of {rows} rows came out")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_memory(rows: int) -> dict[str, Any]:
    """Peak memory at so many rows and at twice as many, each in a process of its own."""
    peaks = []
    for size in (rows, 2 * rows):
        command = [sys.executable, __file__, "--peak", str(size)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout))
    figures = {"name": "deid memory", "unit": "MB at twice the rows against once", "rows": rows}
    return figures | {"ours": peaks[1], "peer": peaks[0], "ratio": peaks[0] / peaks[1]}


def fuzz() -> dict[str, Any]:
    """Time of hostile texts of one length and of twice it; 2 is linear, 4 quadratic."""
    detectors = load()
    detect("患者", detectors)
    ratios = {}
    for word in WORDS:
        taken = []
        for letters in (LETTERS, 2 * LETTERS):
            start = time.process_time()
            detect(word * (letters // len(word)), detectors)
            taken.append(time.process_time() - start)
        ratios[word] = round(taken[1] / taken[0], 2)
    worst = max(ratios.values())
    figures = {"name": "deid fuzz", "unit": "time of twice the text", "growth": ratios}
    return figures | {"ours": worst, "peer": 2.0, "ratio": 2.0 / worst}


def main() -> None:
    """Measure, and print one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--jionlp", type=Path, help="Python of an environment with JioNLP")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory", type=int, metavar="ROWS", help="measure memory instead")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--fuzz", action="store_true", help="measure hostile texts instead")
    arguments = parser.parse_args()
    if arguments.peak:
        print(peak(arguments.peak))
    elif arguments.memory or arguments.fuzz:
        figures = measure_memory(arguments.memory) if arguments.memory else fuzz()
        print(json.dumps(figures, ensure_ascii=False))
    else:
        compare_engines(arguments)


def compare_engines(arguments: argparse.Namespace) -> None:
    """Speed and accuracy."""
    count = 1_200 if arguments.quick else arguments.records
    engine = ours()
    engine(["患者"])
    notes = read_clinic(count)
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
                "table_megabytes_per_second": round(treat(notes), 2),
                "records": count,
            },
            ensure_ascii=False,
        )
    )


if __name__ == "__main__":
    main()
