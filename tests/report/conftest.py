import numpy as np
import pytest

from emrobust import config
from emrobust.evaluate import compare, evaluate, gather, measure
from emrobust.report import OtherModel, ReportContext, count_lengths

NASTY = "<script>alert(\"x\")</script> & '病'"
SETTINGS = config.Evaluate(bootstrap=30)


def simulate(labels=14, n=240, seed=0):
    """Truth with a long tail and an empty label, and probabilities that know some of it."""
    stream = np.random.default_rng(seed)
    truth = (stream.random((n, labels)) < 0.6 / np.arange(1, labels + 1)).astype(np.uint8)
    truth[:, -1] = 0
    names = [f"诊断{k}" for k in range(labels - 2)] + [NASTY, "没有病例的诊断"]
    probability = np.clip(0.45 * truth + 0.6 * stream.random(truth.shape), 0, 1)
    return truth, probability, names, stream.integers(0, 80, n)


@pytest.fixture(scope="session")
def everything():
    """An evaluation and a context with every optional part."""
    truth, probability, names, patients = simulate()
    worse = np.where(np.random.default_rng(9).random(truth.shape) < 0.1, 0.3, probability)
    first = gather(truth, worse, None, names, patients)
    second = gather(truth, probability, None, names, patients)
    evaluation = evaluate(
        truth,
        probability,
        None,
        names,
        patients,
        settings=SETTINGS,
        ceiling=np.clip(probability + 0.2 * truth, 0, 1),
    )
    other = OtherModel(
        "TF-IDF",
        measure(first, settings=SETTINGS, seed=0),
        compare(first, second, settings=SETTINGS),
    )
    support = truth.sum(axis=0)
    split = {
        "by": "patient",
        "rows": {"train": 1000, "validation": 120, "test": 240},
        "patients": {"train": 300, "validation": 40, "test": 80},
        "labels": {
            name: {"train": int(4 * k), "validation": int(k // 2), "test": int(k)}
            for name, k in zip(names, support, strict=True)
        },
        "labels_outside_bound": [],
        "leakage": {
            "patients_in_two_splits": 3,
            "near_pairs": 12,
            "near_pairs_is_lower_bound": True,
            "near_threshold": 0.9,
            "rows_with_duplicate_elsewhere": {"train": 9, "validation": 1, "test": 7},
        },
    }
    lengths = {s: np.arange(10, 300, 7) for s in ("train", "validation", "test")}
    context = ReportContext(
        title=f"报告 {NASTY}",
        titles={"诊断0": "第零种诊断", NASTY: f"名 {NASTY}"},
        model=f"模型 {NASTY}",
        others=(other,),
        split=split,
        history=[{"epoch": k, "loss": 1 / k, "macro_f1": 0.1 * k} for k in range(1, 6)],
        lengths=count_lengths(lengths),
        rejects={"ingest": {"the text is empty": 40}, "labels": {NASTY: 2}},
        rows_read=1400,
        configuration=f'name = "{NASTY}"',
        facts={"seed": 1, "environment": {"numpy": "2"}, "files": ["a", "b"]},
        notes=("这是合成数据。",),
    )
    return evaluation, context


@pytest.fixture(scope="session")
def minimum():
    """The least that can be reported: no bootstrap, no ceiling, an empty context."""
    truth, probability, names, patients = simulate(labels=3, n=12)
    none = config.Evaluate(bootstrap=0)
    return evaluate(truth, probability, None, names, patients, settings=none), ReportContext()
