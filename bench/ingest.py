"""Import of a CSV with five text columns, against the loop that one would write by hand.

    bench/ingest.py [--quick]

Writes 1,000,000 rows (``--quick``: 20,000) of made-up Chinese visits, once as UTF-8 and once
as GB18030, and imports each in a child process, whose seconds and peak memory are taken.
The peer reads with `csv.DictReader`, makes the same checks (fields, empty text, ids, rows
twice), parses the same columns and writes the same Parquet file in batches.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import multiprocessing as mp
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emrobust import records, rng
from emrobust.config import Columns, Source
from emrobust.ingest import ingest
from emrobust.ingest.values import parse_age, parse_labels, parse_sex

TEXTS = {"主诉": 18, "现病史": 110, "既往史": 35, "体格检查": 60, "处理意见": 25}  # mean characters
COLUMNS = Columns(
    record_id="就诊号",
    patient_id="患者号",
    visit_time="就诊时间",
    department="科室",
    sex="性别",
    age="年龄",
    labels=("诊断编码",),
    text=tuple(TEXTS),
)
# fmt: off
WORDS = [
    "患者", "反复", "咳嗽", "咳痰", "发热", "三天", "无", "胸痛", "头晕",
    "乏力", "腹痛", "恶心", "呕吐", "否认", "高血压", "糖尿病", "史", "手术",
    "外伤", "青霉素", "过敏", "查体", "神志", "清", "双肺", "呼吸音", "粗",
    "未闻及", "啰音", "心律", "齐", "腹软", "压痛", "阴性", "建议", "复查",
    "血常规", "口服", "药物", "一周", "后", "门诊", "随访", "加重", "两天",
    "夜间", "明显", "活动后", "气促", "休息", "缓解",
]
# fmt: on
SECONDS_BOUND, MEGABYTES_BOUND = 20.0, 1500.0
PEER_BATCH = 16_384


def write_csv(path: Path, rows: int, encoding: str) -> None:
    """Visits with words drawn at random; every seventh history holds a newline."""
    draw = rng.generator(20260101, "bench-ingest")
    words = np.array(WORDS)
    with path.open("w", encoding=encoding, newline="") as handle:
        out = csv.writer(handle)
        out.writerow(COLUMNS.of_source())
        for row in range(rows):
            day = dt.date(2019, 1, 1) + dt.timedelta(days=row % 1400)
            picked = words[draw.integers(len(words), size=130)]
            texts, at = [], 0
            for mean in TEXTS.values():
                count = max(int(mean / 2.4 * (0.6 + 0.8 * draw.random())), 1)
                texts.append("".join(picked[at : at + count]) + "。")
                at += count
            texts[1] += "\n再发。" if row % 7 == 0 else ""
            times = f"{day.isoformat()} {8 + row % 9:02}:{row % 60:02}"
            about = (
                f"V{row:09}",
                f"P{row // 3:08}",
                times,
                "内科",
                "男女"[row % 2],
                f"{row % 90}岁",
            )
            out.writerow((*about, *texts, "J06.9;I10" if row % 5 == 0 else "J06.9"))


def ours(path: Path, target: Path, encoding: str) -> int:
    """Our stage, encoding and delimiter detected."""
    del encoding
    return ingest(Source(path=path, columns=COLUMNS), path, target).rows_out


def peer(path: Path, target: Path, encoding: str) -> int:
    """`csv.DictReader`, told the encoding, with the same checks and the same output."""
    schema = records.schema(COLUMNS.text)
    seen: set[str] = set()
    batch: list[dict[str, object]] = []
    with (
        path.open(encoding=encoding, newline="") as handle,
        pq.ParquetWriter(target / records.FILE, schema, compression="zstd") as out,
    ):
        for row in csv.DictReader(handle):
            key, patient = row["就诊号"].strip(), row["患者号"].strip()
            texts = {f"text_{name}": row[name].strip() for name in TEXTS}
            if None in row.values() or not (key and patient and any(texts.values())) or key in seen:
                continue
            seen.add(key)
            batch.append(
                {
                    "record_id": key,
                    "patient_id": patient,
                    "visit_time": dt.datetime.fromisoformat(row["就诊时间"]),
                    "department": row["科室"],
                    "sex": parse_sex(row["性别"]),
                    "age": parse_age(row["年龄"]),
                    **texts,
                    "labels": parse_labels(row["诊断编码"], ";"),
                }
            )
            if len(batch) == PEER_BATCH:
                out.write_batch(pa.RecordBatch.from_pylist(batch, schema))
                batch = []
        out.write_batch(pa.RecordBatch.from_pylist(batch, schema))
    return len(seen)


def _child(
    task: Callable[[Path, Path, str], int],
    path: Path,
    encoding: str,
    pipe: mp.connection.Connection,
) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as target:
        start, worked = time.perf_counter(), time.process_time()
        rows = task(path, Path(target), encoding)
        seconds, cpu = time.perf_counter() - start, time.process_time() - worked
    # Of this process alone: it was spawned, so nothing of the parent's counts.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send({"rows": rows, "seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak})


def measure(task: Callable[[Path, Path, str], int], path: Path, encoding: str) -> dict[str, float]:
    """Rows, seconds and peak megabytes of one import in a fresh process."""
    context = mp.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(task, path, encoding, send))
    process.start()
    send.close()
    result: dict[str, float] = receive.recv()
    process.join()
    return result


def compare(folder: Path, rows: int, encoding: str, repeats: int) -> dict[str, float]:
    """Both imports of one file, interleaved; medians of the seconds, highest of the peaks."""
    path = folder / f"{encoding}.csv"
    write_csv(path, rows, encoding)
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    for _ in range(repeats):
        runs["ours"].append(measure(ours, path, encoding))
        runs["peer"].append(measure(peer, path, encoding))
    counted = {result["rows"] for results in runs.values() for result in results}
    if counted != {rows}:
        raise SystemExit(f"rows differ: {counted}")
    megabytes = path.stat().st_size / 1e6
    path.unlink()
    found = {"file_mb": round(megabytes, 1)}
    for name, results in runs.items():
        for key, summary in (
            ("seconds", statistics.median),
            ("cpu_seconds", statistics.median),
            ("peak_mb", max),
        ):
            found[f"{name}_{key}"] = round(summary(result[key] for result in results), 2)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--quick", action="store_true", help="100,000 rows, once")
    quick = arguments.parse_args().quick
    rows, repeats = (20_000, 1) if quick else (1_000_000, 3)
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        found = {
            encoding: compare(Path(folder), rows, encoding, repeats)
            for encoding in ("utf-8", "gb18030")
        }
    seconds = max(result["ours_seconds"] for result in found.values())
    peak = max(result["ours_peak_mb"] for result in found.values())
    slowest = max(found.values(), key=lambda result: result["ours_seconds"])
    print(
        json.dumps(
            {
                "name": "ingest",
                "ours": slowest["ours_seconds"],
                "peer": slowest["peer_seconds"],
                "ratio": round(slowest["peer_seconds"] / slowest["ours_seconds"], 2),
                "unit": "s",
                "rows": rows,
                "seconds": seconds,
                "peak_mb": peak,
                "bound": {"seconds": SECONDS_BOUND, "peak_mb": MEGABYTES_BOUND, "rows": 1_000_000},
                "met": seconds <= SECONDS_BOUND and peak <= MEGABYTES_BOUND,
                "encodings": found,
            }
        )
    )


if __name__ == "__main__":
    main()
