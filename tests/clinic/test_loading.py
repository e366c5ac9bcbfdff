"""Words and lists name what the medical tables have; wrong rows are refused with their place."""

import shutil

import pytest

from emrobust.clinic import style, tables
from emrobust.clinic.library import compile_library
from emrobust.clinic.model import build
from emrobust.clinic.slots import LEAVES
from emrobust.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    for file in tables.FOLDER.glob("*.csv"):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_readings_and_lists_name_findings_that_exist():
    names = {finding.name for finding in tables.load().findings}
    library = compile_library(build(), frozenset(LEAVES))
    assert len(library.told) >= 5
    for row in tables.rows(tables.FOLDER / "readings.csv"):
        assert row.text("finding") in names | {""}
    for row in tables.rows(tables.FOLDER / "sentences.csv"):
        assert set(filter(None, row.text("blocks").split("|"))) <= names


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        ("links.csv", "湿疹,没有这个,0.3", "no finding called"),
        ("links.csv", "没有这个,发热,0.3", "no class called"),
        ("links.csv", "湿疹,发热,1.3", "between 0 and 1"),
        ("comorbidity.csv", "湿疹,荨麻疹,often", "not a number"),
        ("findings.csv", "新,gesture,新,,,0,0,,0,,,", "no kind"),
    ],
)
def test_a_wrong_row_is_named(folder, table, line, message):
    path = folder / table
    rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*rows, line]) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{table} row {len(rows) + 1}.*{message}"):
        tables.load(folder)


def test_a_missing_table_and_a_class_without_codes_are_named(folder):
    codes = folder / "codes.csv"
    kept = [r for r in codes.read_text("utf-8").splitlines() if not r.startswith("湿疹,")]
    codes.write_text("\n".join(kept) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no code for the class '湿疹'"):
        tables.load(folder)
    tables.load.cache_clear()
    codes.unlink()
    with pytest.raises(ConfigError, match=r"codes\.csv is missing"):
        tables.load(folder)
    tables.load.cache_clear()


def test_style_settings_are_checked_by_name():
    with pytest.raises(ConfigError, match="sharpnes"):
        style.validate(style.Rates, {"sharpnes": 2}, "rates.toml")
    with pytest.raises(ConfigError, match="wrong_code"):
        style.validate(style.Rates, {"wrong_code": 2}, "rates.toml")


def test_style_names_classes_that_exist():
    shipped = style.load_style()
    wrong = shipped.model_copy(update={"drift": {"湿诊": 0.1}})
    with pytest.raises(ConfigError, match="湿诊"):
        wrong.check_names(tables.load())
    shipped.check_names(tables.load())
