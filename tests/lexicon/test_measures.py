import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust import lexicon
from emrobust.errors import ConfigError
from emrobust.lexicon import table

MEASURES = lexicon.load_measures()


@pytest.mark.parametrize(
    ("text", "name", "register", "formal"),
    [
        ("体温38.5摄氏度。", "temperature", "formal", "体温38.5℃"),
        ("T 38.5", "temperature", "abbreviated", "体温38.5℃"),
        ("BP120/80mmHg，", "blood pressure", "abbreviated", "血压120/80mmHg"),
        ("腹泻2d，", "days", "abbreviated", "2天"),
        ("咳嗽3周", "weeks", "formal", "3周"),
        ("头痛2个钟头。", "hours", "colloquial", "2小时"),
        ("HR:88次/分", "heart rate", "abbreviated", "心率88次/分"),
    ],
)
def test_a_measure_is_read_and_written_with_its_numbers(text, name, register, formal):
    (reading,) = MEASURES.find(text)
    assert (reading.name, reading.register) == (name, register)
    assert MEASURES.write(reading, "formal")[0] == formal
    for target in lexicon.REGISTERS:
        for written in MEASURES.write(reading, target):
            (again,) = MEASURES.find(written)
            assert (again.name, again.numbers) == (name, reading.numbers)


@pytest.mark.parametrize(
    "text",
    ["T4椎体", "2023年5月", "第3天", "3天龄", "HR1288", "A12d", "12.5.3mg", "T 38.5.1", "P53(+)"],
)
def test_what_only_looks_like_a_measure_is_left_alone(text):
    assert MEASURES.find(text) == []


@given(st.text("体温T血压BP心率HR0123456789./ ℃天d日mg次分，", max_size=30))
def test_readings_are_exact_ascending_and_keep_their_numbers(text):
    end = 0
    for reading in MEASURES.find(text):
        assert reading.start >= end
        end = reading.end
        assert text[reading.start : reading.end] in MEASURES.write(reading, reading.register)
    numbers = lexicon.find_numbers(text)
    alone = [MEASURES.read(text, numbers, which) for which in range(len(numbers))]
    assert [reading for reading in alone if reading is not None] == MEASURES.find(text)


def test_all_wrong_rows_are_told_with_their_lines(tmp_path):
    folder = tmp_path / "tables"
    shutil.copytree(table.FOLDER, folder)
    path = folder / "measures.csv"
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    path.write_text(
        f"{first}\na,体温,,,,,,,,,x\nb,{{n}}天,,{{n}}/{{n}}d,,,,,,,x\nb,{{n}}度,,,9,x,,,,,x\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as error:
        lexicon.load_measures(folder)
    told = str(error.value)
    for why in ("line 2: a writing has no", "line 3: its writings differ", "line 4: low and high"):
        assert why in told
    assert "line 4: the name is there twice" in told
