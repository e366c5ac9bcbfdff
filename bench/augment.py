"""Rule perturbations with guards, against nlpcda's synonym replacement, on one core.

    bench/augment.py [--quick]

The texts are fields of the made-up clinic's notes, of 60 to 120 characters. Ours and the peer
run one after the other in each round; the CPU seconds of their processes are taken, and their
medians count. ``ours`` is `synonym`, guards on; the other perturbations, and several at once, are
told beside it. The peer, nlpcda 2.5.8 (the newest on PyPI), runs in an environment of its own,
made once in the user's cache; it segments and replaces, and guards nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from emrobust import registry
from emrobust.clinic.chart import write_block
from emrobust.clinic.model import build
from emrobust.perturb import Perturbation, perturb_all

PEER = "nlpcda==2.5.8"
SEVERAL = ("synonym", "colloquial", "abbreviation", "homophone", "keyboard", "punctuation")
HOME = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "emrobust-bench" / "nlpcda"
# Reads texts from a file; for each line of its input, augments all and tells its seconds.
PROGRAM = """
import json, sys, time
from nlpcda import Similarword
texts = json.load(open(sys.argv[1], encoding="utf-8"))
peer = Similarword(create_num=2, change_rate=0.1)
peer.replace(texts[0])
print("ready", flush=True)
for line in sys.stdin:
    start = time.process_time()
    changed = sum(len(peer.replace(text)) > 1 for text in texts)
    print(json.dumps([time.process_time() - start, changed]), flush=True)
"""


def write_texts(count: int) -> list[str]:
    """Notes of the clinic: the fields that are 60 to 120 characters long."""
    clinic, number = build(), 0
    found: list[str] = []
    while len(found) < count:
        for row in write_block(clinic, 11, number).outpatient:
            found += [text for text in map(str, row[7:10]) if 60 <= len(text) <= 120]
        number += 1
    return found[:count]


def install() -> Path:
    """The peer's Python; made if absent."""
    python = HOME / "bin" / "python"
    if not (HOME / "ready").is_file():
        print(f"installing {PEER} into {HOME}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
        (HOME / "ready").touch()
    return python


@contextmanager
def start_peer(texts: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """The peer's process, warmed up."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(list(texts)), encoding="utf-8")
        process = subprocess.Popen(
            [install(), "-c", PROGRAM, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process:
            while _read(process) != "ready":
                pass
            yield process
            if process.stdin:
                process.stdin.close()


def _read(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        sys.exit(f"{PEER} ended early: it may not be installed rightly in {HOME}")
    return line.strip()


def time_peer(process: subprocess.Popen[str]) -> tuple[float, int]:
    """Seconds for all texts, and how many it has changed."""
    if process.stdin:
        process.stdin.write("go\n")
        process.stdin.flush()
    seconds, changed = json.loads(_read(process))
    return float(seconds), int(changed)


def time_ours(texts: Sequence[str], components: Sequence[Perturbation]) -> tuple[float, int]:
    """Seconds for all texts, and how many were changed."""
    start = time.process_time()
    changed = sum(bool(p.edits) for p in perturb_all(texts, components, 1, range(len(texts))))
    return time.process_time() - start, changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    count, rounds = (1_000, 1) if options.quick else (10_000, 5)
    texts = write_texts(count)
    few = texts[: count // 10]  # for the slow peer
    alone = {name: registry.get("perturbation", name)() for name in registry.names("perturbation")}
    alone = {name: one for name, one in alone.items() if one.language != "en"}
    sets = {name: [one] for name, one in alone.items()}
    sets["several at once"] = [alone[name] for name in SEVERAL]
    rates: dict[str, list[float]] = {name: [] for name in (*sets, "peer")}
    shares: dict[str, float] = {}
    with start_peer(few) as process:
        for components in sets.values():
            time_ours(texts[:100], components)
        for _ in range(rounds):
            seconds, changed = time_peer(process)
            rates["peer"].append(len(few) / seconds)
            shares["peer"] = changed / len(few)
            for name, components in sets.items():
                seconds, changed = time_ours(texts, components)
                rates[name].append(count / seconds)
                shares[name] = changed / count
    medians = {name: statistics.median(of) for name, of in rates.items()}
    result = {
        "name": "augment",
        "ours": round(medians["synonym"]),
        "peer": round(medians["peer"]),
        "ratio": round(medians["synonym"] / medians["peer"], 1),
        "unit": "records/s",
        "texts": count,
        "record": "one field of a note (complaint, present or past history)",
        "median_characters": statistics.median(map(len, texts)),
        "mean_characters": round(sum(map(len, texts)) / count, 1),
        "records_per_second": {name: round(rate) for name, rate in medians.items()},
        "changed": {name: round(share, 3) for name, share in shares.items()},
    }
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
