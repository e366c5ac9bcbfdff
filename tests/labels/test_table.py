import pytest

from emrobust.errors import LabelError
from emrobust.labels.table import read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_spreadsheet_encodings_are_read(tmp_path, encoding):
    path = tmp_path / "classes.csv"
    text = "code,class,title,title_en\nI20.8,冠心病,冠状动脉病,CHD\nz00,,,\n"
    path.write_bytes(text.encode(encoding))
    table = read(path, "icd10")
    assert table.classes == {"I20.8": "冠心病", "Z00": ""}
    assert table.titles == {"冠心病": {"zh": "冠状动脉病", "en": "CHD"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code,klass\nI20,a\n", "no column `class`"),
        ("", "no column `code`"),
        ("code,class\nI20,a\nE11,b\ni20,c\n", "line 4 of .* gives I20 another class than line 2"),
        ("code,class\nI20,a\n糖尿病,b\n", "line 3 of .* cannot be used: not of the form"),
        ("code,class\nI20,\n", "names no class"),
    ],
)
def test_mistakes_name_their_line(tmp_path, text, message):
    path = tmp_path / "classes.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelError, match=message):
        read(path, "icd10")


def test_a_line_given_twice_alike_does_no_harm(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text("code,class\n感冒,a\n感冒,a\n", encoding="utf-8")
    assert read(path, "plain").classes == {"感冒": "a"}


def test_a_missing_or_binary_table_is_named(tmp_path):
    with pytest.raises(LabelError, match="does not exist"):
        read(tmp_path / "none.csv", "icd10")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xff\xff")
    with pytest.raises(LabelError, match="neither UTF-8 nor GB18030"):
        read(tmp_path / "binary.csv", "icd10")
    with pytest.raises(LabelError, match="Is a directory"):
        read(tmp_path, "icd10")
