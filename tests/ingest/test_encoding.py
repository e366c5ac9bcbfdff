import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrobust.errors import SourceError
from emrobust.ingest import encoding
from emrobust.ingest.table import UNDECODABLE

CHINESE = "就诊号,主诉\nV1,反复咳嗽三天，伴有发热\nV2,头晕乏力两周，活动后加重\n" * 20
TEXT = st.text(st.characters(codec="utf-8", exclude_characters=UNDECODABLE + "\ufeff"))


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "gb18030"])
def test_known_encodings_are_found(write_csv, name):
    assert encoding.detect(write_csv(CHINESE, encoding=name)) == name


def test_plain_ascii_and_one_foreign_byte_are_utf8(write_csv):
    assert (
        encoding.detect(write_csv("id,text\n" * 200 + "1,caf\xe9 au lait\n", encoding="latin-1"))
        == "utf-8"
    )


def test_one_damaged_byte_does_not_change_the_encoding(write_csv):
    for name in ("utf-8", "gb18030"):
        data = CHINESE.encode(name)
        assert encoding.detect(write_csv(data[:500] + b"\xff" + data[500:])) == name


def test_chinese_far_behind_an_ascii_head_is_found(write_csv):
    assert (
        encoding.detect(
            write_csv("id,text\n" + "1,plain\n" * 200_000 + CHINESE * 600, encoding="gb18030")
        )
        == "gb18030"
    )


@pytest.mark.parametrize("name", ["utf-16", "utf-16-le", "utf-16-be", "big5", "shift-jis"])
def test_other_encodings_are_refused_with_advice(write_csv, name):
    text = CHINESE if name.startswith("utf") else "病歷號,主訴\n" + "頭暈與發熱三日、咳嗽\n" * 50
    data = text.encode(name, "ignore")
    with pytest.raises(SourceError, match="UTF-8") as caught:
        encoding.detect(write_csv(data))
    assert "Save it as UTF-8" in str(caught.value)


def test_a_wrong_setting_names_the_right_encoding(write_csv):
    with pytest.raises(SourceError, match="is not utf-8; it looks like gb18030"):
        encoding.detect(write_csv(CHINESE, encoding="gb18030"), "utf-8")


def test_other_kinds_of_file_are_named(write_csv):
    with pytest.raises(SourceError, match="an Excel file"):
        encoding.detect(write_csv(b"PK\x03\x04" + bytes(100)))


@given(
    TEXT, st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]), st.integers(1, 40), st.integers(1, 20)
)
def test_transcoding_gives_the_same_text_in_pieces_of_any_size(
    tmp_path_factory, text, name, size, times
):
    path = tmp_path_factory.mktemp("t") / "t"
    text *= times
    path.write_bytes(text.encode(name))
    with encoding.Transcoder(path, name, "尾") as stream:
        pieces = list(iter(lambda: stream.read(size), b""))
        assert not stream.damaged
    assert b"".join(pieces).decode() == text + "尾"
    # Short pieces in between would break the parser's records apart.
    assert all(len(piece) == size for piece in pieces[:-1])


def test_bytes_that_cannot_be_decoded_are_marked(tmp_path):
    (tmp_path / "t").write_bytes("咳".encode("gb18030") + b"\xff,\x81,a")
    with encoding.Transcoder(tmp_path / "t", "gb18030") as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8").read()
    assert text == f"咳{UNDECODABLE},{UNDECODABLE},a"
