"""Case pages, data quality and model card of a run on a small clinic, and what may go wrong."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import stat
import tomllib

import pytest

from emrobust import clinic, config, records, runs
from emrobust.errors import ConfigError, InputError, RunError
from emrobust.pipeline.card import write_card
from emrobust.pipeline.explain import FAITHFULNESS, HTML, JSON, Wishes, explain
from emrobust.pipeline.prepare import INGEST, LABELS, prepare
from emrobust.pipeline.quality import check_quality, correct
from emrobust.pipeline.train import train
from emrobust.report import card as model_card
from emrobust.train import run as training


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    clinic.generate(folder / "clinic", 700, 5, workers=1, formats=("sqlite",))
    settings = [
        "labels.top=6",
        "model.longest=2",
        "model.max_iterations=15",
        "evaluate.bootstrap=50",
    ]
    project = config.load(folder / "clinic" / clinic.PROJECT, settings)
    prepare(project, folder / "prepared")
    train(project, folder / "run", folder / "prepared")
    return folder


@pytest.fixture(scope="module")
def pages(made):
    wishes = Wishes(errors=3, sample=12, language="en")
    return explain(made / "run", made / "pages", wishes, made / "prepared")


def is_private(path):
    return stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_page_shows_each_error_with_its_text_and_the_json_has_none(made, pages):
    html = (made / "pages" / HTML).read_text(encoding="utf-8")
    plain = (made / "pages" / JSON).read_text(encoding="utf-8")
    assert is_private(made / "pages" / HTML)
    assert 1 <= len(pages.cases) <= 6
    for case in pages.cases:
        wrong = (case.label in case.predicted) != (case.label in case.true)
        assert wrong
        assert case.record_id in html
        line = max(case.text.splitlines(), key=len)
        assert line not in plain
        assert len(case.neighbours) >= 3
    written = json.loads(plain)
    first = written["cases"][0]
    units = [pages.cases[0].text[start:end] for start, end, _ in first["units"]]
    assert all(unit.strip() for unit in units)
    assert html.count('<article class="case"') == len(pages.cases)
    assert written["method"] == pages.method


def test_the_method_is_chosen_by_measurement(made, pages):
    told = json.loads((made / "pages" / FAITHFULNESS).read_text(encoding="utf-8"))
    assert told["chosen"] == pages.method == "occlusion"
    assert {of["name"] for of in told["methods"]} == {"occlusion", "random_order"}
    assert told["methods"][0]["beats"]


def test_a_record_is_explained_on_request(made):
    run = training.load(made / "run")
    rows = training.read_rows(made / "prepared" / LABELS / records.FILE)
    wanted = next(r for r, split in zip(rows.record_id, rows.split, strict=True) if split == "test")
    other = next(r for r, split in zip(rows.record_id, rows.split, strict=True) if split == "train")
    wishes = Wishes(records=(wanted,), sample=0, level="character")
    done = explain(made / "run", made / "one", wishes, made / "prepared")
    assert {case.record_id for case in done.cases} == {wanted}
    assert done.faithfulness is None
    with pytest.raises(InputError, match="test records"):
        explain(made / "run", made / "none", Wishes(records=(other,)), made / "prepared")
    with pytest.raises(ConfigError, match="no attention"):
        explain(made / "run", made / "none", Wishes(method="attention"), made / "prepared")
    with pytest.raises((InputError, RunError)):
        explain(made / "run", made / "none", Wishes(), made / "clinic")
    assert run.names


def test_corrections_make_another_prepared_folder(made, tmp_path):
    found = check_quality(made / "prepared", tmp_path / "sheet", top=20, folds=3)
    sheet = json.loads((tmp_path / "sheet" / "quality.json").read_text(encoding="utf-8"))
    assert is_private(tmp_path / "sheet" / "quality.html")
    assert is_private(tmp_path / "sheet" / "quality.csv")
    page = (tmp_path / "sheet" / "quality.html").read_text(encoding="utf-8")
    of = training.read_label_set(made / "prepared" / LABELS / "labels.json")
    name, title = next(iter(of.titles_in("zh").items()))
    assert f'<option value="{name}">{title}</option>' in page
    assert len(sheet["mislabels"]) == 20
    longest = max(found.rows.texts[of.row] for of in found.mislabels.suspects[:20])
    assert longest not in json.dumps(sheet, ensure_ascii=False)
    entry = next(of for of in sheet["mislabels"] if of["split"] == "train")
    wanted = [*(set(entry["labels"]) - {entry["drop"]}), entry["add"]]
    export = {
        "version": 1,
        "data": sheet["data"],
        "records": [{"record_id": entry["record_id"], "reviewed": True, "labels": wanted}],
    }
    runs.write_json(tmp_path / "export.json", export)
    assert correct(made / "prepared", tmp_path / "export.json", tmp_path / "corrected") == 1
    before = training.read_rows(made / "prepared" / LABELS / records.FILE)
    after = training.read_rows(tmp_path / "corrected" / LABELS / records.FILE)
    assert after.texts == before.texts
    changed = [k for k, of in enumerate(after.labels) if of != before.labels[k]]
    assert [after.record_id[k] for k in changed] == [entry["record_id"]]
    runs.verify_manifest(tmp_path / "corrected" / LABELS)
    counts = training.read_label_set(tmp_path / "corrected" / LABELS / "labels.json").counts_train
    old = training.read_label_set(made / "prepared" / LABELS / "labels.json").counts_train
    assert counts[entry["add"]] == old[entry["add"]] + 1
    assert counts[entry["drop"]] == old[entry["drop"]] - 1
    with pytest.raises(InputError, match="exists"):
        correct(made / "prepared", tmp_path / "export.json", tmp_path / "corrected")


def test_the_card_says_what_is_known_and_what_is_open(made, tmp_path):
    card = write_card(made / "run", tmp_path, language="en")
    assert [item.key for item in card.tripod] == [str(k) for k in range(1, 28)]
    assert all(item.facts or item.open for item in (*card.tripod, *card.mi_claim))
    text = (tmp_path / model_card.MARKDOWN).read_text(encoding="utf-8")
    html = (tmp_path / model_card.HTML).read_text(encoding="utf-8")
    assert "Wh. That is an estimate" in text
    assert "Wh. That is an estimate" in html
    assert "{" not in text
    asked = tomllib.loads((tmp_path / model_card.OPEN).read_text(encoding="utf-8"))["answers"]
    assert set(asked) == {item.key for item in card.open}
    (tmp_path / "mine.toml").write_text('[answers]\n"19" = "Two <patients>"\n', encoding="utf-8")
    again = write_card(made / "run", tmp_path, tmp_path / "mine.toml", language="zh")
    assert not again.tripod[18].open
    assert "Two &lt;patients&gt;" in (tmp_path / model_card.HTML).read_text(encoding="utf-8")
    # The file that was written is filled in further and given back.
    still = tomllib.loads((tmp_path / model_card.OPEN).read_text(encoding="utf-8"))["answers"]
    assert still.pop("19") == "Two <patients>"
    assert set(still) == {item.key for item in again.open}
    third = write_card(made / "run", tmp_path, tmp_path / model_card.OPEN, language="zh")
    assert third.tripod == again.tripod
    (tmp_path / "mine.toml").write_text('[answers]\n"28" = "x"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="28"):
        write_card(made / "run", tmp_path, tmp_path / "mine.toml")


def test_both_languages_have_the_same_words():
    from emrobust.report.words import load

    for file in ("explain_strings.toml", "quality_strings.toml", "card_strings.toml"):
        table = load(file)
        assert table["zh"].keys() == table["en"].keys(), file


def test_records_whose_use_is_over_are_not_read(made, tmp_path):
    folder = tmp_path / "prepared"
    shutil.copytree(made / "prepared", folder)
    path = folder / INGEST / runs.MANIFEST
    manifest = runs.read_json(path)
    manifest["facts"]["settings"]["governance"] = {
        "approval": "2026-1", "purpose": "research", "legal_basis": "consent",
        "responsible_role": "office", "retain_until": "2026-03-01", "data_level": 3,
    }  # fmt: skip
    runs.write_json(path, manifest)
    with pytest.raises(ConfigError, match="2026-03-01"):
        check_quality(folder, tmp_path / "sheet", today=dt.date(2026, 3, 2))
    assert not (tmp_path / "sheet").exists()
