"""Suites are the same texts for every model, and take no words from training."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emrobust import config, records, runs
from emrobust.errors import ConfigError, InputError
from emrobust.evaluate import gather, suites
from emrobust.evaluate.suites import plan
from emrobust.evaluate.suites.measure import take
from emrobust.evaluate.suites.shift import only
from emrobust.perturb import confusions, noise, perturb

SETTINGS = config.Evaluate(bootstrap=100)
NOTES = [
    "患者三天前受凉后出现发热、咳嗽，伴流涕，无胸痛，体温38.5℃，血压120/80mmHg。",
    "反复上腹痛两年，餐后明显，否认黑便，曾行胃镜检查，考虑慢性胃炎。",
    "左膝关节疼痛半年，上下楼加重，无外伤史，双下肢无水肿。",
    "头晕、心悸一周，既往高血压病史五年，长期口服药物，血压控制欠佳。",
]


def rows(n, split="test", site="本部", start=0):
    count = range(start, start + n)
    return {
        "record_id": [f"R{k}" for k in count],
        "patient_id": [f"P{k // 2}" for k in count],
        "visit_time": [np.datetime64("2022-03-01", "ms")] * n,
        "site": [site] * n,
        "department": ["内科"] * n,
        "sex": ["F"] * n,
        "age": np.full(n, 50, np.float32),
        "text_complaint": [""] * n,
        "text_illness": [f"{NOTES[k % 4]}就诊{k}次。" for k in count],
        "labels": [["感冒"] if k % 2 else ["胃炎"] for k in count],
        "split": [split] * n,
        "fold": [None] * n,
    }


def write_table(folder, *parts):
    schema = records.schema(["complaint", "illness"])
    table = pa.concat_tables([pa.table(part, schema=schema) for part in parts])
    records.write(folder / records.FILE, schema, table.to_batches())
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table of 80 test and 40 training records, and suites of 60."""
    folder = tmp_path_factory.mktemp("suites")
    source = write_table(folder / "source", rows(80), rows(40, "train", start=80))
    settings = suites.Settings(seed=3, language="zh", records=60)
    runs.run_stage(suites.write, settings, source, folder / "suites" / suites.WRITTEN)
    return source, settings, folder / "suites"


def test_suites_are_of_whole_test_patients_with_their_labels(made):
    source, _, folder = made
    original = {row["record_id"]: row for row in records.read(source / records.FILE).to_pylist()}
    found = suites.find(folder)
    assert [suite.name for suite in found] == [
        *(f"noise-{severity}" for severity in (1, 2, 3, 4, 5, "paper")),
        *("short", "long", "empty"),
    ]
    chosen = pq.read_table(found[0].path)["record_id"].to_pylist()
    assert len(chosen) == 60
    patients = {original[record]["patient_id"] for record in chosen}
    assert len(patients) == 30
    for suite in found:
        table = pq.read_table(suite.path)
        assert table["record_id"].to_pylist() == chosen
        assert table.schema.metadata == records.read(source / records.FILE).schema.metadata
        for row in table.to_pylist():
            kept = {k: v for k, v in row.items() if not k.startswith("text_")}
            was = {k: v for k, v in original[row["record_id"]].items() if not k.startswith("text_")}
            assert kept == was
            assert row["split"] == "test"
            assert any(row[name].strip() for name in ("text_complaint", "text_illness"))
        assert runs.checksum(suite.path) == suite.about["checksum"]


def test_without_a_number_every_test_record_is_taken(made, tmp_path):
    source, settings, _ = made
    runs.run_stage(
        suites.write,
        settings.model_copy(update={"records": None, "kinds": ("noise",)}),
        source,
        tmp_path / suites.WRITTEN,
    )
    assert {suite.about["records"] for suite in suites.find(tmp_path)} == {80}


def test_the_same_table_and_seed_give_the_same_texts_in_any_process(made, tmp_path):
    source, settings, folder = made
    again = tmp_path / "again"
    runs.run_stage(suites.write, settings, source, again / suites.WRITTEN)
    for first, second in zip(suites.find(folder), suites.find(again), strict=True):
        assert runs.checksum(first.path) == runs.checksum(second.path)
    other = settings.model_copy(update={"seed": 4})
    runs.run_stage(suites.write, other, source, tmp_path / "other" / suites.WRITTEN)
    changed = {suite.name: suite for suite in suites.find(tmp_path / "other")}
    name = "noise-3"
    first = next(suite for suite in suites.find(folder) if suite.name == name)
    assert runs.checksum(changed[name].path) != runs.checksum(first.path)


def test_noise_grows_with_severity_and_length_suites_do_what_they_say(made):
    source, _, folder = made
    original = {row["record_id"]: row for row in records.read(source / records.FILE).to_pylist()}
    distance, texts = {}, {}
    for suite in suites.find(folder):
        table = pq.read_table(suite.path)
        texts[suite.name] = table["text_illness"].to_pylist()
        was = [original[r]["text_illness"] for r in table["record_id"].to_pylist()]
        distance[suite.name] = np.mean(
            [len(set(a) ^ set(b)) for a, b in zip(was, texts[suite.name], strict=True)]
        )
    assert distance["noise-1"] < distance["noise-3"] < distance["noise-5"]
    assert 0 < distance["noise-paper"] < distance["noise-5"]
    assert max(map(len, texts["short"])) < 30
    assert min(map(len, texts["long"])) > 200
    assert all(one.endswith("次。") for one in texts["long"])
    assert not any("noise" in one for one in texts["empty"])


def test_words_of_suites_are_none_of_training():
    for table in ("homophones", "glyphs", "english_synonyms", "english_abbreviations"):
        training, testing = (confusions.load(table, use) for use in ("train", "test"))
        pairs = [{(a, b) for a, of in one.items() for b in of} for one in (training, testing)]
        assert not pairs[0] & pairs[1]
        assert 0.2 < len(pairs[1]) / (len(pairs[0]) + len(pairs[1])) < 0.4, table
    template = noise.load()
    for key in ("headings", "after", "closing", "english_closing"):
        assert not set(getattr(template.template, key)) & set(getattr(template.held_out, key))
    text = "".join(NOTES) * 5
    trained, tested = (plan_of(use) for use in ("train", "test"))
    said = [
        {(text[start:end], new) for start, end, new in perturb(text, made, 1, "x").edits}
        for made in (trained, tested)
    ]
    assert said[0]
    assert said[1]
    assert not said[0] & said[1]


def plan_of(use):
    """Perturbations that write words, all of them at full rate."""
    made = plan.perturbations("5", "zh")
    kinds = [type(one) for one in made if type(one).__name__ in ("Homophone", "Glyph", "Template")]
    return [kind(rate=0.9, use=use) for kind in kinds]


def test_english_has_suites_too(tmp_path):
    table = rows(12)
    table["text_illness"] = [
        "Patient does not have chest pain but reports shortness of breath."
    ] * 12
    source = write_table(tmp_path / "en", table)
    runs.run_stage(
        suites.write, suites.Settings(seed=1, language="en"), source, tmp_path / suites.WRITTEN
    )
    found = {suite.name: suite.about["changed"] for suite in suites.find(tmp_path)}
    assert found["noise-5"] > 0.5
    assert found["empty"] == 1


def test_an_empty_table_and_an_unknown_severity_are_refused(tmp_path):
    source = write_table(tmp_path / "none", rows(20, "train"))
    settings = suites.Settings(seed=1, language="zh")
    with pytest.raises(InputError, match="needs test records, but none has none"):
        runs.run_stage(suites.write, settings, source, tmp_path / suites.WRITTEN)
    assert suites.find(tmp_path) == []
    with pytest.raises(ConfigError, match="no severity '9'"):
        plan.perturbations("9", "zh")


def test_files_of_attacks_are_suites(made, tmp_path):
    _, _, folder = made
    shutil.copytree(folder, tmp_path / "s")
    (tmp_path / "s" / suites.ATTACK).mkdir()
    shutil.copy(suites.find(folder)[0].path, tmp_path / "s" / suites.ATTACK / "homophone.parquet")
    last = suites.find(tmp_path / "s")[-1]
    assert (last.name, last.kind) == ("attack-homophone", "attack")


def predictions(n=200, wrong=0.1, seed=0):
    stream = np.random.default_rng(seed)
    truth = (stream.random((n, 3)) < [0.5, 0.3, 0.0]).astype(np.uint8)
    flip = np.random.default_rng(seed + 1).random((n, 3)) < wrong
    flip[:, 2] = False
    said = np.where(flip, 1 - truth, truth) * 0.8 + 0.1
    return gather(truth, said, None, ["a", "b", "c"], np.arange(n) // 2)


def test_a_drop_is_relative_to_the_same_records():
    standard, noisy = predictions(wrong=0.05), predictions(wrong=0.3)
    ids = tuple(f"R{k}" for k in range(200))
    some = np.arange(60, 160)
    found = suites.measure_file(
        ("noise-paper", "noise", {}),
        (tuple(ids[k] for k in some), take(noisy, some)),
        (ids, standard),
        settings=SETTINGS,
        seed=1,
    )
    whole = suites.compare(
        "x", "noise", take(standard, some), take(noisy, some), settings=SETTINGS, seed=1
    )
    assert found.standard == whole.standard
    assert found.drop["macro_f1"] == pytest.approx(
        1 - found.suite["macro_f1"] / found.standard["macro_f1"]
    )
    low, high = found.interval["macro_f1"]
    assert 0 < low < found.drop["macro_f1"] < high
    assert (found.n, found.labels) == (100, 2)
    assert found.per_label["c"].standard is None
    assert found.per_label["c"].suite is None
    assert found.per_label["c"].interval is None
    low, high = found.per_label["a"].interval
    assert low < found.per_label["a"].suite - found.per_label["a"].standard < high
    with pytest.raises(InputError, match="no test records of the run"):
        suites.measure_file(
            ("n", "noise", {}), (("Z1",), take(noisy, some[:1])), (ids, standard),
            settings=SETTINGS, seed=1,
        )  # fmt: skip
    with pytest.raises(InputError, match="has no records"):
        suites.compare(
            "n", "noise", standard, only(noisy, np.zeros(200, bool)), settings=SETTINGS, seed=1
        )


def test_records_from_elsewhere_are_told_by_what_training_saw():
    table = pa.table(rows(100), schema=records.schema(["complaint", "illness"]))
    other = pa.table(rows(100, site="东院", start=100), schema=table.schema)
    both = pa.concat_tables([table, other])
    seen = {"site": {"本部": 900}, "year": {"2022": 900}, "department": {}}
    of = predictions()
    scores, why = suites.measure_shift(seen, both, of, settings=SETTINGS, seed=1)
    assert [score.name for score in scores] == ["other-site"]
    assert scores[0].about == {"values": ["东院"]}
    assert (scores[0].n, scores[0].patients) == (100, 50)
    assert why == {"year": "none", "department": "unknown"}
    low, high = scores[0].interval["macro_f1"]
    assert low < scores[0].drop["macro_f1"] < high
    away, why = suites.measure_shift({"site": {"西院": 5}}, both, of, settings=SETTINGS, seed=1)
    assert not away
    assert why["site"] == "all"
    assert suites.seen_of(both)["site"] == {}
