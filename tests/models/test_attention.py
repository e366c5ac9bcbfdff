"""The path of training against PyTorch's fused kernel."""

import pytest
import torch
from torch import nn

from emrobust.models import attention
from emrobust.models.dropout import MaskSource


def parts(dtype: torch.dtype, *, masked: bool):
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(3, 2, 9, 16, generator=generator).to(dtype) for _ in range(3))
    allowed = torch.arange(9)[None, :] < torch.tensor([9, 4, 1])[:, None]
    mask = allowed[:, None, None, :].expand(3, 1, 9, 9).clone()
    mask[1, 0, 8] = False  # a padded place that may look nowhere, as in sliding windows
    return query, key, value, mask if masked else None


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_values_and_gradients_agree_with_the_fused_kernel(dtype, near, masked):
    query, key, value, mask = parts(dtype, masked=masked)
    layer = nn.Identity()
    with torch.no_grad():
        fused, _ = attention.attend(layer, query, key, value, mask, scaling=0.3)
    ours = [part.clone().requires_grad_() for part in (query, key, value)]
    got, _ = attention.attend(layer, *ours, mask, scaling=0.3)
    looks = torch.ones(3, 9, dtype=torch.bool) if mask is None else mask.any(-1)[:, 0]
    torch.testing.assert_close(got[looks], fused[looks], atol=near, rtol=near)
    assert got.isfinite().all()
    peers = [part.float().requires_grad_() for part in (query, key, value)]
    exact = nn.functional.scaled_dot_product_attention(*peers, attn_mask=mask, scale=0.3)
    chosen = looks[:, :, None, None]
    (got * chosen).float().square().sum().backward()
    (exact.transpose(1, 2).nan_to_num() * chosen).square().sum().backward()
    for part, peer in zip(ours, peers, strict=True):
        torch.testing.assert_close(part.grad.float(), peer.grad, atol=5 * near, rtol=5 * near)


def test_dropout_comes_from_the_source_with_and_without_gradients():
    query, key, value, mask = parts(torch.float32, masked=True)
    layer, source = nn.Identity(), MaskSource()
    layer.dropout_source = source

    def attend(seed: int, *, gradients: bool) -> torch.Tensor:
        source.seed(seed)
        given = query.clone().requires_grad_(gradients)
        return attention.attend(layer, given, key, value, mask, dropout=0.3)[0].detach()

    first = attend(1, gradients=True)
    assert torch.equal(first, attend(1, gradients=True))
    assert torch.equal(first, attend(1, gradients=False))
    assert not torch.equal(first, attend(2, gradients=True))
