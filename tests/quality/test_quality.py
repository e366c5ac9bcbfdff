"""Planted errors are found, and corrections come back as they were given or not at all."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from emrobust.errors import InputError, LabelError
from emrobust.quality import (
    find_conflicts,
    find_mislabels,
    find_unsupported,
    out_of_fold,
    review,
)

NAMES = ("cold", "stomach", "heart", "skin")


@pytest.fixture(scope="module")
def spoiled(easy):
    """500 texts, 25 of them with another label in the place of one of theirs."""
    texts, _, matrix = easy(500)
    truth = matrix.copy()
    wrong = np.random.default_rng(0).choice(500, 25, replace=False)
    for row in wrong:
        has, lacks = np.flatnonzero(matrix[row]), np.flatnonzero(matrix[row] == 0)
        truth[row, has[0]], truth[row, lacks[0]] = 0, 1
    return texts, truth, set(wrong.tolist()), matrix


def test_exchanged_labels_come_first_with_the_right_suggestion(spoiled):
    texts, truth, wrong, matrix = spoiled
    patients = [f"p{row // 2}" for row in range(len(texts))]
    probability = out_of_fold(texts, truth, patients, single=False, folds=4)
    found = find_mislabels(truth, probability)
    first = found.suspects[:25]
    assert sum(suspect.row in wrong for suspect in first) >= 20
    for suspect in first[:10]:
        assert truth[suspect.row, suspect.drop] == 1
        assert matrix[suspect.row, suspect.drop] == 0
        assert matrix[suspect.row, suspect.add] == 1
    assert 5 <= found.confident <= 30
    assert [s.score for s in found.suspects] == sorted(
        (s.score for s in found.suspects), reverse=True
    )


def test_a_patients_visits_lie_in_one_fold(easy, monkeypatch):
    from emrobust.quality import folds

    seen = []

    class Watching(folds.Tfidf):
        def fit(self, X, y):  # noqa: N803  sklearn's name
            seen.append(set(X))
            return super().fit(X, y)

    monkeypatch.setattr(folds, "Tfidf", Watching)
    texts, names, matrix = easy(60)
    texts = [f"{text}{row}" for row, text in enumerate(texts)]
    one = np.eye(4, dtype=int)[matrix.argmax(1)]
    patients = [f"p{row % 20}" for row in range(60)]
    folds.out_of_fold(texts, one, patients, single=True, folds=3)
    for learned in seen:
        inside = [text in learned for text in texts]
        assert all(inside[row] == inside[row % 20] for row in range(60))
    with pytest.raises(InputError, match="patients"):
        folds.out_of_fold(texts, one, ["p"] * 60, single=True, folds=3)
    del names


def test_equal_texts_with_different_labels_are_listed_once():
    texts = ["咳嗽 3天", "咳嗽3天", "皮疹", "皮疹", "咳嗽３天"]
    labels = [["cold"], ["heart"], ["skin"], ["skin"], ["cold"]]
    assert [(of.rows, of.labels) for of in find_conflicts(texts, labels)] == [
        ((0, 1, 4), ((("cold",), 2), (("heart",), 1)))
    ]


def test_a_text_unlike_all_training_is_found(easy):
    texts = easy(300)[0]
    owners = [f"p{row}" for row in range(300)]
    asked = [*easy(30, seed=3)[0], "膝关节置换术后复查", "验光配镜"]
    where = [["here"]] * 30 + [["there"]] * 2
    found = find_unsupported(texts, owners, asked, [f"q{k}" for k in range(32)], {"site": where})
    assert {30, 31} <= set(found.rows)
    assert len(found.rows) <= 4
    assert [group.name for group in found.groups["site"]] == ["here"]  # two rows are no group


ENTRY = review.Entry(
    record_id="7", split="train", labels=("cold",), drop="cold", add="skin",
    likely=(("skin", 0.9),), score=3.0, confident=True, text="=cmd()",
)  # fmt: skip


RIGHT = {"record_id": "1", "reviewed": True, "labels": ["cold"]}
WRONG = RIGHT | {"labels": ["colt"]}


def write(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def test_a_spreadsheet_comes_back_with_what_was_filled_in(tmp_path):
    sheet = review.to_csv([ENTRY, ENTRY._replace(record_id="-8"), ENTRY._replace(record_id="9")])
    rows = list(csv.DictReader(io.StringIO(sheet.removeprefix("\ufeff"))))
    assert rows[0]["text"] == "'=cmd()"
    rows[0]["corrected"], rows[1]["corrected"] = "skin; heart", "cold"
    handle = io.StringIO()
    writer = csv.DictWriter(handle, review.COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    path = write(tmp_path / "sheet.csv", handle.getvalue())
    known = {"7": ["cold"], "-8": ["cold"], "9": ["heart"]}
    found = review.read(path, "", known, NAMES, single=False)
    assert found == {"7": ["skin", "heart"], "-8": ["cold"]}
    with pytest.raises(LabelError, match="2 labels"):
        review.read(path, "", known, NAMES, single=True)
    with pytest.raises(InputError, match="other records"):
        review.read(path, "", known | {"7": ["heart"]}, NAMES, single=False)
    write(path, handle.getvalue().replace("skin; heart", "请核对：左侧胸痛"))
    with pytest.raises(LabelError, match="entry 1: a label is not in") as error:
        review.read(path, "", known, NAMES, single=False)
    assert "胸痛" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"data": "other"}, InputError, "other records"),
        ({"records": []}, InputError, "no record"),
        ({"version": 2}, InputError, "version"),
        ({"records": [WRONG]}, LabelError, "cold"),
        ({"records": [RIGHT, RIGHT]}, InputError, "twice"),
    ],
)
def test_corrections_that_do_not_fit_are_refused(tmp_path, change, error, says):
    good = {
        "version": 1,
        "data": "abc",
        "records": [
            {"record_id": "1", "reviewed": True, "labels": ["cold"]},
            {"record_id": "2", "reviewed": False, "labels": ["skin"]},
        ],
    }
    path = write(tmp_path / "good.json", json.dumps(good))
    assert review.read(path, "abc", {}, NAMES, single=True) == {"1": ["cold"]}
    path = write(tmp_path / "bad.json", json.dumps(good | change))
    with pytest.raises(error, match=says):
        review.read(path, "abc", {}, NAMES, single=False)
