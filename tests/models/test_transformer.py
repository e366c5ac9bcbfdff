"""BERT, RoBERTa, ELECTRA and ModernBERT under one output layer."""

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from emrobust import registry
from emrobust.encoder import embedded
from emrobust.errors import ConfigError, ModelError
from emrobust.models import network as networks

# The class, and the number of its padding token.
KINDS = [("bert", 0), ("roberta", 1), ("electra", 0), ("modernbert", 2)]


def build(folder, texts=(), **settings):
    checked = registry.settings("model", "transformer", {"checkpoint": str(folder), **settings})
    return registry.get("model", "transformer").new(list(texts), 3, checked)


@pytest.fixture(params=KINDS, ids=lambda kind: kind[0])
def encoder(request, random_encoder, tmp_path):
    """Folder of a tiny random encoder."""
    return random_encoder(tmp_path / request.param[0], request.param[0], pad=request.param[1])


def padded(network, texts, length=0):
    rows = network.encode(texts, 40)
    length = max(length, *map(len, rows))
    ids = torch.tensor([row + [network.pad] * (length - len(row)) for row in rows])
    mask = torch.tensor([[place < len(row) for place in range(length)] for row in rows])
    return ids, mask


def test_states_equal_those_of_transformers_own_model(encoder):
    """Its class and positions by token numbers, ours by embeddings."""
    network = build(encoder).eval()
    given = AutoTokenizer.from_pretrained(encoder)(
        ["咳嗽流涕", "胸闷"], padding=True, return_tensors="pt"
    )
    ids, mask = given["input_ids"], given["attention_mask"]
    expected = AutoModel.from_pretrained(encoder).eval()(input_ids=ids, attention_mask=mask)
    seen = []
    network.encoder.register_forward_hook(lambda *a: seen.append(a[2].last_hidden_state))
    with torch.inference_mode():
        network(ids, mask.bool())
    kept = mask.bool()
    torch.testing.assert_close(seen[0][kept], expected.last_hidden_state[kept])


def test_logits_by_embeddings_whatever_the_padding_and_after_loading(encoder, tmp_path):
    network = build(encoder).eval()
    texts = ["咳嗽", "腹痛腹泻，皮疹瘙痒", ""]
    ids, mask = padded(network, texts, 50)
    logits = network(ids, mask)
    torch.testing.assert_close(network(ids, mask, network.embed(ids)), logits)
    alone = torch.cat([network(*padded(network, [text])) for text in texts])
    torch.testing.assert_close(alone, logits, atol=2e-6, rtol=1e-5)
    (tmp_path / "saved").mkdir()
    network.save(tmp_path / "saved")
    again = networks.load(tmp_path / "saved")
    assert torch.equal(again(ids, mask), logits)
    assert again.encode(texts, 9) == network.encode(texts, 9)


def test_every_parameter_has_a_depth_and_deeper_ones_lie_lower(encoder):
    network = build(encoder)
    groups = network.by_depth()
    assert len(groups) == 4  # head, two layers, embeddings
    names = {id(value): name for name, value in network.named_parameters()}
    placed = [names.pop(id(value)) for group in groups for value in group]
    assert not names
    assert len(placed) == len(set(placed))
    of_group = [
        {n for n, p in network.named_parameters() if any(p is q for q in g)} for g in groups
    ]
    assert "head.weight" in of_group[0]
    assert all("layer.1." in n or "layers.1." in n for n in of_group[1])
    assert all("layer.0." in n or "layers.0." in n for n in of_group[2])
    assert all("embeddings" in n for n in of_group[3])


def test_long_texts_are_cut_to_the_checkpoints_positions(random_encoder, tmp_path):
    network = build(random_encoder(tmp_path, "roberta"))
    assert network.first_position == 1
    rows = network.encode(["咳" * 300], 512)
    assert len(rows[0]) == 65  # 66 positions, the first is padding's
    network(torch.tensor(rows), torch.ones(1, 65, dtype=torch.bool))


def test_the_embedded_encoder_is_the_default():
    assert registry.settings("model", "transformer", {})["checkpoint"] == embedded.NAME


@pytest.mark.parametrize("pooling", ["cls", "mean", "cls+mean"])
def test_pooling(bert, pooling):
    assert build(bert, pooling=pooling).head.in_features == (64 if "+" in pooling else 32)


def test_what_labels_read_in_the_tokens_is_added_to_the_heads_logits(bert):
    network = build(bert).eval()
    ids, mask = padded(network, ["咳嗽流涕", "胸闷"])
    states = network.encoder(inputs_embeds=network.embed(ids), attention_mask=mask.long())[0]
    both = network(ids, mask)
    read = network.label_attention(states, mask)
    network.label_attention = None
    torch.testing.assert_close(both, network(ids, mask) + read)
    assert build(bert, label_attention=False).label_attention is None


def test_the_last_layers_are_averaged(bert):
    network, top = build(bert, layers=2).eval(), build(bert).eval()
    ids, mask = padded(network, ["咳嗽流涕"])
    states = network.encoder(inputs_embeds=network.embed(ids), output_hidden_states=True)
    mean = (states.hidden_states[1] + states.hidden_states[2]) / 2
    found = network.features(network.embed(ids), mask)
    torch.testing.assert_close(found, torch.cat([mean[:, 0], mean.mean(1)], -1))
    assert not torch.equal(found, top.features(top.embed(ids), mask))
    more = build(bert, layers=9).eval()
    assert torch.equal(more.features(more.embed(ids), mask), found)
    with pytest.raises(ConfigError, match="layers"):
        build(bert, layers=0)


def test_a_vocabulary_that_misses_a_third_of_the_texts_is_refused(bert):
    known = ["咳嗽流涕腹痛"] * 3000
    build(bert, [*known, *["龘"] * 2999])  # 14 % of the tokens
    with pytest.raises(ModelError, match="misses 33%") as caught:
        build(bert, ["咳嗽龘"] * 5000)
    assert "龘" not in str(caught.value)
    build(bert, ["", " "])
