import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from emrobust.encoder import tokenizer
from emrobust.errors import ModelError
from emrobust.placeholders import PLACEHOLDERS


@pytest.fixture(scope="module")
def learned():
    return tokenizer.learn(["血压 BP120/80mmHg，WBC升高", "BP WBC mmHg"] * 50, pieces=80)


def test_ideographs_and_digits_stand_alone_and_units_stay_whole(learned):
    found = learned.encode("BP120/80mmHg", add_special_tokens=False)
    assert found.tokens == ["bp", "1", "2", "0", "/", "8", "0", "mmhg"]
    assert learned.encode("血压高", add_special_tokens=False).tokens == ["血", "压", "高"]


def test_width_and_case_are_levelled_but_offsets_are_the_original_s(learned):
    text = "ＢＰ１２０，℃ 痛"
    found = learned.encode(text, add_special_tokens=False)
    assert found.tokens[:4] == ["bp", "1", "2", "0"]
    assert [text[start:end] for start, end in found.offsets][:4] == ["ＢＰ", "１", "２", "０"]
    assert text[slice(*found.offsets[-1])] == "痛"


@pytest.mark.parametrize("placeholder", PLACEHOLDERS.values())
def test_placeholders_are_one_token(learned, placeholder):
    found = learned.encode(f"姓名{placeholder}男", add_special_tokens=False)
    assert placeholder in found.tokens
    assert len(found.tokens) == 4


def test_an_uncommon_ideograph_of_print_is_known_and_a_rare_one_is_not(learned):
    assert learned.encode("癌", add_special_tokens=False).tokens == ["癌"]
    assert learned.encode("𠮷", add_special_tokens=False).tokens == ["[UNK]"]


@given(st.text(max_size=60))
def test_offsets_lie_in_the_text_and_never_go_back(learned, text):
    found = learned.encode(text, add_special_tokens=False)
    last = 0
    for start, end in found.offsets:
        assert 0 <= start <= end <= len(text)
        assert start >= last
        last = start


def test_auto_tokenizer_reads_what_was_saved(learned, tmp_path):
    tokenizer.save(learned, tmp_path, 512)
    read = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    text = "BP120/80mmHg [PATIENT_NAME] 头痛"
    assert read(text)["input_ids"] == learned.encode(text).ids
    assert (read.pad_token_id, read.unk_token_id, read.mask_token) == (0, 1, "[MASK]")


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(ModelError, match="no text"):
        tokenizer.learn(["", "  "])
