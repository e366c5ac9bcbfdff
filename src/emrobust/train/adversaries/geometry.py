"""Directions and balls, one a text: all functions take and give [rows, tokens, width].

A norm over the whole batch instead would make δ depend on the batch size.
"""

from __future__ import annotations

import torch

# A gradient below this is none.
_TINY = 1e-30


def lengths(vectors: torch.Tensor) -> torch.Tensor:
    """L2 norm of each row over its tokens [rows, 1, 1]."""
    norms: torch.Tensor = torch.linalg.vector_norm(vectors, dim=(1, 2), keepdim=True)
    return norms


def directions(vectors: torch.Tensor) -> torch.Tensor:
    """Each row at an L2 norm of 1; a row of zeros stays one."""
    largest = vectors.abs().amax((1, 2), keepdim=True).clamp_min(_TINY)
    scaled = vectors / largest  # squares of small gradients would vanish
    return scaled / lengths(scaled).clamp_min(_TINY)


def peaks(vectors: torch.Tensor) -> torch.Tensor:
    """Each row at a largest absolute value of 1; a row of zeros stays one."""
    return vectors / vectors.abs().amax((1, 2), keepdim=True).clamp_min(_TINY)


def into_ball(delta: torch.Tensor, radius: float) -> torch.Tensor:
    """The nearest point of an L2 ball around 0, for each row."""
    return delta * (radius / lengths(delta).clamp_min(_TINY)).clamp_max(1.0)


def uniform(mask: torch.Tensor, width: int, random: torch.Generator) -> torch.Tensor:
    """Numbers from −1 to 1, and 0 on padding.

    Args:
        mask: true where there is a token [rows, tokens].
        width: of the embeddings.
        random: on the mask's device.
    """
    drawn = torch.rand((*mask.shape, width), generator=random, device=mask.device)
    return (2 * drawn - 1) * mask[:, :, None]


def gaussian(mask: torch.Tensor, width: int, random: torch.Generator) -> torch.Tensor:
    """Standard normal numbers, and 0 on padding: every direction is equally likely."""
    drawn = torch.randn((*mask.shape, width), generator=random, device=mask.device)
    return drawn * mask[:, :, None]
