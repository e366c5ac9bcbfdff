"""Each label reads the tokens with weights of its own."""

import pytest
import torch

from emrobust.models.label_attention import LabelAttention


@pytest.fixture
def attention():
    """Two labels over three numbers, with weights that can be reckoned by hand."""
    made = LabelAttention(3, 2)
    with torch.no_grad():
        made.query.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 2.0, 0]]))
        made.value.weight.copy_(torch.tensor([[0, 1.0, 0], [0, 0, -1.0]]))
    return made


def test_it_is_the_formula_of_its_paper(attention):
    states = torch.tensor([[[0.0, 4, 1], [3, 2, 5]]])
    found = attention(states, torch.ones(1, 2, dtype=torch.bool))
    first = 1 / (1 + torch.tensor(3.0).exp())  # softmax of 0 and 3, at the first token
    second = 1 / (1 + torch.tensor(-4.0).exp())  # softmax of 8 and 4
    expected = [first * 4 + (1 - first) * 2, -(second * 1 + (1 - second) * 5)]
    torch.testing.assert_close(found, torch.stack(expected)[None])


def test_padding_says_nothing(attention):
    torch.manual_seed(3)
    states = torch.randn(2, 4, 3)
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])
    found = attention(states, mask)
    torch.testing.assert_close(found[:1], attention(states[:1, :2], mask[:1, :2]))
    states[0, 2:] = 1e4
    torch.testing.assert_close(attention(states, mask), found)


def test_half_precision_comes_back_in_half_precision(attention):
    states = torch.randn(1, 5, 3)
    mask = torch.ones(1, 5, dtype=torch.bool)
    found = attention.bfloat16()(states.bfloat16(), mask)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), attention.float()(states, mask), atol=0.05, rtol=0.02)
