"""The texts of an epoch: the same for any number of workers, guarded, and told about."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emrobust import perturb
from emrobust.augment import pool as pool_module
from emrobust.augment.pool import Pool
from emrobust.augment.rules import Request
from emrobust.augment.toolbox import Toolbox
from emrobust.config import Augment
from emrobust.errors import ConfigError, EmrobustError, SourceError

TEXTS = [f"患者咳嗽流涕{day}天，无发热，今日来诊，既往体健，今来我院就诊" for day in range(1, 41)]
TARGETS = np.eye(2, dtype=int)[np.arange(40) % 2]
PLAN = np.split(np.random.default_rng(0).permutation(40), 8)
RULES = {"perturbations": [{"name": "deletion"}, {"name": "swap"}], "at_once": 1, "seed": 3}


def make(texts=TEXTS, seed=3, batch_size=8, **settings) -> Toolbox:
    values = {
        "probability": 1.0, "back_translation": 0.0, "masked_lm": 0.0, "mixup": 0.0,
        "perturbations": ["deletion", {"name": "swap", "rate": 0.3}], "workers": 0, **settings,
    }  # fmt: skip
    given = Augment.model_validate(values)
    toolbox = Toolbox(given, texts, TARGETS[: len(texts)], seed, batch_size=batch_size)
    toolbox.prepare(3)
    return toolbox


def read(toolbox: Toolbox, epoch: int = 0, first: int = 0) -> list[list[str | None]]:
    with toolbox.open() as pool:
        return list(toolbox.read(pool, epoch, range(first, len(PLAN)), PLAN[first:]))


def test_any_number_of_workers_gives_the_same_texts(masked_lm):
    settings = {"masked_lm": 0.4, "mixup": 0.2, "checkpoint": str(masked_lm)}
    made = [read(make(workers=workers, **settings)) for workers in (0, 1, 2)]
    assert made[0] == made[1] == made[2]
    # A training that goes on in the middle of an epoch reads the rest of it.
    assert read(make(**settings), first=3) == made[0][3:]
    assert read(make(**settings), epoch=1) != made[0]
    assert read(make(seed=4, **settings)) != made[0]


def test_no_guarded_fact_changes_and_mixed_batches_stay(masked_lm):
    toolbox = make(masked_lm=1.0, mixup=0.5, checkpoint=str(masked_lm))
    changed = 0
    for step, (rows, texts) in enumerate(zip(PLAN, read(toolbox), strict=True)):
        for row, text in zip(rows, texts, strict=True):
            if text is not None:
                assert not toolbox.lots.mixes(step)
                assert perturb.facts(text) == perturb.facts(TEXTS[row])
                changed += text != TEXTS[row]
    assert changed > 10
    assert any(map(toolbox.lots.mixes, range(8)))


def test_a_table_of_translations_is_used_and_counted(tmp_path):
    path = tmp_path / "t.csv"
    other = [text.replace("今来我院", "今日来我院") for text in TEXTS]
    rows = [f'"{text}","{new}"' for text, new in zip(TEXTS[:20], other, strict=False)]
    path.write_text("\n".join(["text,translation", *rows]), "utf-8")
    toolbox = make(rules=0.0, back_translation=1.0, translations=path)
    found = {row: t for rows, of in zip(PLAN, read(toolbox), strict=True)
             for row, t in zip(rows.tolist(), of, strict=True)}  # fmt: skip
    assert [found[row] for row in range(40)] == [*other[:20], *[None] * 20]
    assert toolbox.facts["back_translation"] == {"texts": 40, "kept": 20, "missing": 20}


def test_what_cannot_run_is_an_error_or_redistributed_and_told(tmp_path):
    shares = {"rules": 0.4, "back_translation": 0.2, "masked_lm": 0.2, "mixup": 0.2}
    absent = {**shares, "checkpoint": str(tmp_path / "absent")}
    with pytest.raises(ConfigError) as caught:
        make(**absent)
    assert "augment.back_translation" in str(caught.value)
    assert "augment.masked_lm" in str(caught.value)
    facts = make(redistribute=True, **absent).facts
    assert facts["shares"]["rules"] == pytest.approx(2 / 3)
    assert set(facts["redistributed"]) == {"back_translation", "masked_lm"}


def test_a_table_of_other_texts_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,translation\n咳嗽,咳\n", "utf-8")
    with pytest.raises(SourceError, match="has none of the 40 training texts"):
        make(back_translation=1.0, translations=path)
    make(back_translation=0.0, translations=path)


def test_the_embedded_encoder_fills_no_english():
    notes = [f"Cough and fever for {day} days, denies chest pain." for day in range(1, 41)]
    with pytest.raises(ConfigError, match="`augment.masked_lm`: `emrobust/zh-small` writes Chin"):
        make(notes, masked_lm=0.5)
    told = make(notes, masked_lm=0.5, redistribute=True).facts
    assert told["shares"]["rules"] == 1.0
    assert set(told["redistributed"]) == {"masked_lm"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"perturbations": ["synonim"]}, "synonym"),
        ({"perturbations": [{"name": "swap", "rat": 1}]}, "rate"),
        ({"perturbations": [{"name": "swap", "rate": 3}]}, "rate"),
        ({"there": "a/b"}, "belong together"),
        ({"mixup": 0.5, "batch_size": 1}, "MixUp needs two"),
    ],
)
def test_wrong_settings_are_named(settings, says):
    with pytest.raises(ConfigError, match=says):
        make(**settings)


def test_empty_texts_stay_empty(masked_lm, tmp_path):
    (tmp_path / "t.csv").write_text('text,translation\n"",b\n')
    toolbox = make(
        texts=[""] * 40, masked_lm=1.0, back_translation=1.0, mixup=1.0,
        checkpoint=str(masked_lm), translations=tmp_path / "t.csv",
    )  # fmt: skip
    assert not any(text for texts in read(toolbox) for text in texts)


def test_a_long_answer_survives_a_stop_of_the_worker(monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    request = Request(0, list(range(4000)), TEXTS * 100)
    with Pool(RULES, 1) as pool:
        worker = pool._workers[0]
        pool_module._write(worker, request)
        wait_until_full(worker.stdout.fileno())
        os.kill(worker.pid, signal.SIGSTOP)
        os.kill(worker.pid, signal.SIGCONT)
        with ThreadPoolExecutor(1) as thread:
            reading = thread.submit(pool_module._receive, worker)
            try:
                assert len(reading.result(60)) == 4000
            finally:
                worker.kill()  # so that nothing waits for it


def wait_until_full(pipe: int) -> None:
    """Until a pipe takes no more: then its writer waits inside of one writing."""
    room = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    for _ in range(1200):
        (waiting,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))
        if waiting == room:
            return
        time.sleep(0.05)
    pytest.fail("the answer did not fill the pipe")


def test_a_worker_that_fails_or_dies_is_told_without_text():
    with Pool(RULES, 1) as pool:
        with pytest.raises(EmrobustError, match="failed in a worker") as caught:
            list(pool.answer([Request(0, [1], [None])]))  # type: ignore[list-item]
        assert list(pool.answer([Request(0, [1], ["患者咳嗽"])])) == list(
            Pool(RULES, 0).answer([Request(0, [1], ["患者咳嗽"])])
        )
        worker = pool._workers[0]
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        with pytest.raises(EmrobustError, match="ended") as caught:
            list(pool.answer([Request(0, [1], ["患者咳嗽"])]))
        assert "咳嗽" not in str(caught.value)
