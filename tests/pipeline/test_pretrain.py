"""The whole command on a small corpus: killed, resumed, refused."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoTokenizer

from emrobust.errors import ConfigError, InputError, ModelError, SourceError, StorageError
from emrobust.pipeline.pretrain import pretrain
from emrobust.train import checkpoints

SMALL = ["layers=2", "width=16", "heads=2", "feed_forward=32", "positions=64", "length=64",
         "pieces=80", "batch_tokens=1024", "held_out=0.05", "evaluations=3"]  # fmt: skip


@pytest.fixture(scope="session")
def notes(passages, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("notes") / "notes.txt"
    path.write_text("\n".join(passages), encoding="utf-8")
    return path


def run(source: Path, out: Path, *more: str, **options):
    return pretrain([source], out, [*SMALL, *more], deidentified=True, **options)


@pytest.fixture(scope="session")
def finished(notes, tmp_path_factory):
    out = tmp_path_factory.mktemp("pretrained") / "out"
    return out, run(notes, out, "steps=60", "learning_rate=5e-3")


def test_it_learns_and_leaves_a_checkpoint_that_transformers_loads(finished):
    out, history = finished
    assert [row["step"] for row in history] == [20, 40, 60]
    assert history[-1]["perplexity"] < 0.7 * history[0]["perplexity"]
    assert history[-1]["words"] < history[0]["words"]
    assert sorted(path.name for path in out.iterdir()) == ["curve.svg", "encoder", "log.json"]
    encoder = out / "encoder"
    model, report = AutoModelForMaskedLM.from_pretrained(encoder, output_loading_info=True)
    assert not any(report.values())
    assert model.config.hidden_dropout_prob == 0.1
    words = AutoTokenizer.from_pretrained(encoder)
    assert model(**words("患者发热", return_tensors="pt")).logits.isfinite().all()
    assert "患者" not in (encoder / "README.md").read_text(encoding="utf-8")
    assert "perplexity" in (encoder / "README.md").read_text(encoding="utf-8")


def test_positions_beyond_the_longest_row_repeat_the_others(notes, tmp_path):
    run(notes, tmp_path / "out", "steps=4", "length=32")
    table = load_file(tmp_path / "out" / "encoder" / "model.safetensors")
    places = table["bert.embeddings.position_embeddings.weight"]
    assert (places[32:63] == places[1:32]).all()


def test_half_the_bytes_on_demand(finished, notes, tmp_path):
    run(notes, tmp_path / "out", "steps=4", half=True)
    tensors = load_file(tmp_path / "out" / "encoder" / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}


def test_a_checkpoint_is_continued_with_its_own_vocabulary(finished, notes, tmp_path):
    out, first = finished
    history = pretrain(
        [notes], tmp_path / "out",
        ["steps=20", "length=64", "batch_tokens=1024", "held_out=0.05", "evaluations=1",
         "learning_rate=1e-3"],
        start=str(out / "encoder"), deidentified=True,
    )  # fmt: skip
    assert history[0]["perplexity"] < first[0]["perplexity"]
    assert "words" not in history[0]
    before, after = (
        (folder / "encoder" / "tokenizer.json").read_text() for folder in (out, tmp_path / "out")
    )
    assert json.loads(before)["model"] == json.loads(after)["model"]


@pytest.mark.parametrize(("kind", "pad"), [("bert", 0), ("roberta", 1)])
def test_rows_are_as_long_as_a_checkpoint_has_positions_for(
    kind, pad, easy, tmp_path, random_encoder
):
    """RoBERTa's positions begin behind its padding number."""
    begun = random_encoder(tmp_path / "begun", kind, pad=pad, heads=True)
    settings = ["steps=2", "batch_tokens=1024", "held_out=0.05", "evaluations=1",
                "packing=full"]  # fmt: skip
    known = tmp_path / "known.txt"
    known.write_text("\n".join(easy(1500)[0]), encoding="utf-8")
    pretrain([known], tmp_path / "out", settings, start=str(begun), deidentified=True)
    log = json.loads((tmp_path / "out" / "log.json").read_text())
    assert log["facts"]["settings"]["length"] == 64


def test_rows_are_as_long_as_there_are_positions(notes, tmp_path):
    assert run(notes, tmp_path / "out", "steps=2", "positions=50", "length=128", "packing=full")
    log = json.loads((tmp_path / "out" / "log.json").read_text())
    assert log["facts"]["settings"]["length"] == 48


def start(notes: Path, out: Path) -> subprocess.Popen[bytes]:
    code = "import torch; torch.set_num_threads(1); from emrobust.cli import main; main()"
    settings = [word for value in [*SMALL, "steps=300", "checkpoint_seconds=0.2"]
                for word in ("--set", value)]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", code, "pretrain", str(notes), "--out", str(out),
         "--deidentified", *settings],
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_bits(notes, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(notes, whole).wait(200) == 0
    for kills in range(1, 4):
        process = start(notes, broken)
        folder = broken / "work" / "checkpoints"
        seen = len(list(folder.glob("epoch-*"))) and max(folder.glob("epoch-*")).name
        while process.poll() is None:
            names = [path.name for path in folder.glob("epoch-*")]
            if names and max(names) != seen:
                break
            time.sleep(0.02)
        time.sleep(0.03 * kills)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert start(notes, broken).wait(200) == 0
    files = ("encoder/model.safetensors", "encoder/tokenizer.json")
    for name in files:
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    logs = [json.loads((out / "log.json").read_text())["history"] for out in (whole, broken)]
    clock = ("seconds", "tokens_per_second")
    kept = [[{k: v for k, v in row.items() if k not in clock} for row in log] for log in logs]
    assert kept[0] == kept[1]


def launch(processes: int, notes: Path, out: Path, *more: str) -> None:
    """Train in processes of one thread each, so that every sum is added up in the same order."""
    settings = [word for value in [*SMALL, "steps=10", "precision=fp32", *more]
                for word in ("--set", value)]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone",
         "--nproc_per_node", str(processes), Path(sys.executable).parent / "emrobust",
         "pretrain", notes, "--out", out, "--deidentified", *settings],
        capture_output=True, text=True, timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_both_shares(notes, tmp_path):
    """Two devices with a batch each make the steps of one device with two batches."""
    launch(1, notes, tmp_path / "one", "accumulate=2")
    launch(2, notes, tmp_path / "two")
    one, two = (
        load_file(tmp_path / name / "encoder" / "model.safetensors") for name in ("one", "two")
    )
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


def test_a_full_disk_keeps_the_last_checkpoint(notes, tmp_path, monkeypatch):
    out = tmp_path / "out"
    real = checkpoints.save
    saved = []

    def fill(folder, snapshot, fingerprint):
        """The first checkpoint fits; the second meets a limit on the size of files."""
        if not saved:
            real(folder, snapshot, fingerprint)
            saved.append(snapshot.state.step)
            return
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            real(folder, snapshot, fingerprint)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, ignored)

    monkeypatch.setattr(checkpoints, "save", fill)
    with pytest.raises(StorageError, match="full"):
        run(notes, out, "steps=9")
    monkeypatch.undo()
    assert len(list((out / "work" / "checkpoints").iterdir())) == 1
    assert run(notes, out, "steps=9")[-1]["step"] == 9


def test_text_that_may_name_persons_is_refused(notes, tmp_path):
    with pytest.raises(InputError, match="--deidentified"):
        pretrain([notes], tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        ("", (), (ModelError, "no text")),
        ("头痛\n发热\n", (), (SourceError, "too few")),
        (None, ("batch_tokens=4000000", "cooccurrence=0"), (SourceError, "fits in 1 batch")),
        (None, ("width=17",), (ConfigError, "multiple of `heads`")),
        (None, ("epoch=3",), (ConfigError, "Did you mean `epochs`")),
        (None, ("mask_rate=2", "layers=0"), (ConfigError, "(?s)layers.*mask_rate")),
    ],
)
def test_bad_input_is_told_plainly(content, more, expected, request, tmp_path):
    source = tmp_path / "notes.txt"
    if content is None:
        source = request.getfixturevalue("notes")
    else:
        source.write_text(content, encoding="utf-8")
    with pytest.raises(expected[0], match=expected[1]):
        run(source, tmp_path / "out", *more)


def test_another_run_is_not_overwritten(finished, notes, tmp_path):
    with pytest.raises(InputError, match="already there"):
        run(notes, finished[0])


def test_a_restart_may_end_later_but_not_learn_otherwise(notes, tmp_path, monkeypatch):
    out = tmp_path / "out"
    real = checkpoints.save

    def stop(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        run(notes, out, "steps=6")
    monkeypatch.undo()
    with pytest.raises(InputError, match="mask_rate"):
        run(notes, out, "steps=6", "mask_rate=0.3")
    assert [row["step"] for row in run(notes, out, "steps=9")] == [2, 3, 6, 9]
