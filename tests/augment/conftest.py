"""One thread, and tiny models that are made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def masked_lm(random_encoder, tmp_path_factory) -> Path:
    """A random masked language model that knows few characters."""
    return random_encoder(tmp_path_factory.mktemp("masked_lm"), heads=True)


@pytest.fixture(scope="session")
def translator(tmp_path_factory) -> Path:
    """A random Marian model with its SentencePiece vocabulary."""
    import io
    import json

    import sentencepiece
    from transformers import MarianConfig, MarianMTModel

    folder = tmp_path_factory.mktemp("marian")
    sentences = ["患者咳嗽三天", "无发热腹痛", "头痛头晕来诊", "the patient has a cough"] * 20
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=written, vocab_size=50,
        model_type="char", character_coverage=1.0, minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(written.getvalue())
    known = [pieces.id_to_piece(k) for k in range(pieces.get_piece_size())]
    known = ["</s>", "<unk>", *[p for p in known if not p.startswith("<")], "<pad>"]
    vocabulary = {piece: number for number, piece in enumerate(known)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"source_lang": "zh", "target_lang": "en", "tokenizer_class": "MarianTokenizer"})
    )
    pad = vocabulary["<pad>"]
    config = MarianConfig(
        vocab_size=len(known), d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_position_embeddings=64, pad_token_id=pad, eos_token_id=0,
        decoder_start_token_id=pad, forced_eos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        MarianMTModel(config).save_pretrained(folder)
    return folder
