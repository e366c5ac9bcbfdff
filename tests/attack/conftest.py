"""A victim that is trained in a second, and records of the made-up clinic to attack."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import numpy as np
import pytest

from emrobust import attack
from emrobust.clinic import tables
from emrobust.models.tfidf import Tfidf


class Ward(NamedTuple):
    texts: list[str]
    truth: np.ndarray
    names: list[str]


def write_notes(rows: int, seed: int) -> Ward:
    """Notes of findings in the clinic's words; a label is a body system."""
    random = Random(seed)  # noqa: S311 - no secret
    groups: dict[str, list[str]] = {}
    for finding in tables.load().findings:
        for of in finding.groups:
            groups.setdefault(of, []).append(finding.words[0][0])
    names = sorted(groups, key=lambda name: (-len(groups[name]), name))[:4]
    texts, truth = [], np.zeros((rows, len(names)), dtype=np.uint8)
    for row in range(rows):
        chosen = random.sample(range(len(names)), 1 + (random.random() < 0.3))
        truth[row, chosen] = 1
        found = [word for k in chosen for word in random.sample(groups[names[k]], 2)]
        text = f"患者{random.randint(2, 20)}天前出现{'、'.join(found)}，无发热，右侧明显。"
        texts.append(f"{text}\n查体：血压{random.randint(90, 160)}/80mmHg。口服阿司匹林100mg qd。")
    return Ward(texts, truth, names)


@pytest.fixture(scope="session")
def ward():
    return write_notes(60, 2)


def fit(task: str) -> Tfidf:
    known = write_notes(400, 1)
    if task == "multi":
        model = Tfidf(task="multi", classes=known.names)
        return model.fit(known.texts, known.truth, validation=(known.texts, known.truth))
    first = np.array(known.names)[known.truth.argmax(1)]
    return Tfidf(task="single", classes=known.names).fit(known.texts, first)


@pytest.fixture(scope="session")
def multi():
    return attack.Victim(fit("multi"))


@pytest.fixture(scope="session")
def single():
    return attack.Victim(fit("single"))


@pytest.fixture(scope="session")
def subjects(ward):
    return [
        attack.Subject(f"r{row}", text, truth.astype(bool))
        for row, (text, truth) in enumerate(zip(ward.texts, ward.truth, strict=True))
    ]
