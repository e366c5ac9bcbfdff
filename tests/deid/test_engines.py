"""A checkpoint and Presidio's analyzer give spans in offsets of the original."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

from emrobust.deid.detect import detect
from emrobust.deid.model_engine import ModelEngine
from emrobust.deid.presidio_engine import PresidioEngine
from emrobust.errors import ModelError

TEXT = "患者张三，电话 138。" * 40


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny random classifier whose every token is a person, longer texts than it can hold."""
    folder = tmp_path_factory.mktemp("tagger")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(TEXT))]
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        id2label={0: "O", 1: "B-PER"},
        label2id={"O": 0, "B-PER": 1},
    )
    model = BertForTokenClassification(config)
    model.classifier.bias.data[1] = 50.0
    model.save_pretrained(folder)
    return folder


def test_a_checkpoint_gives_offsets_of_the_original(checkpoint):
    engine = ModelEngine(checkpoint=checkpoint)
    spans = engine.find(TEXT)
    assert spans
    assert {span.kind for span in spans} == {"person_name"}
    # Every token is a person, so all letters are covered, those behind the window too.
    covered = {at for span in spans for at in range(span.start, span.end)}
    assert {at for at, letter in enumerate(TEXT) if letter.isalnum()} <= covered
    assert all(0 <= span.start < span.end <= len(TEXT) for span in spans)
    assert detect("　", [engine]) == []


def test_a_checkpoint_whose_labels_nobody_knows_is_refused(checkpoint, tmp_path):
    with pytest.raises(ModelError, match="no token-classification checkpoint"):
        ModelEngine(checkpoint=tmp_path)
    with pytest.raises(ModelError, match="is no kind"):
        ModelEngine(checkpoint=checkpoint, labels={"PER": "person"})


def test_presidio_results_become_spans():
    found = [
        SimpleNamespace(entity_type="PERSON", start=0, end=4, score=0.85),
        SimpleNamespace(entity_type="NRP", start=5, end=8, score=0.9),
        SimpleNamespace(entity_type="PHONE_NUMBER", start=9, end=12, score=0.1),
    ]
    analyzer = SimpleNamespace(analyze=lambda **_: found)
    spans = PresidioEngine(analyzer=analyzer).find("Jane ate 138")
    assert [(s.start, s.end, s.kind) for s in spans] == [(0, 4, "person_name")]


@pytest.mark.skipif(
    importlib.util.find_spec("presidio_analyzer") is not None, reason="Presidio is installed"
)
def test_without_presidio_the_error_says_what_to_install():
    with pytest.raises(ModelError, match="pip install presidio-analyzer"):
        PresidioEngine()
