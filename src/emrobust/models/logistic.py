"""Logistic regression of many labels at once on a sparse or dense matrix, by L-BFGS.

All labels share each pass over the matrix (one product forward, one back, both on all
cores), which is several times faster than one solver a label, and slower convergence on rare
labels does not stop them early, as a tolerance a label would.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
import torch

_HISTORY = 6
_TOLERANCE = 1e-5

Features: TypeAlias = sp.csr_matrix | np.ndarray
# Weights [features, labels] and biases [labels], float32.
Coefficients = tuple[np.ndarray, np.ndarray]


def fit_varied(
    features: Features,
    targets: np.ndarray,
    solve: Callable[[Features, np.ndarray], Coefficients],
) -> Coefficients:
    """What ``solve`` finds for the labels that vary; base rates for those that never do.

    Args:
        features: float32 [rows, features].
        targets: 0 and 1 [rows, labels].
        solve: gives the coefficients of features and targets.
    """
    varied = np.flatnonzero(targets.any(0) & ~targets.all(0))
    rate = (targets.sum(0) + 0.5) / (len(targets) + 1)
    bias = np.log(rate / (1 - rate)).astype(np.float32)
    weights = np.zeros((features.shape[1], targets.shape[1]), dtype=np.float32)
    if len(varied):
        weights[:, varied], bias[varied] = solve(features, targets[:, varied])
    return weights, bias


def fit(
    features: Features,
    targets: np.ndarray,
    *,
    inverse_penalty: float,
    exclusive: bool,
    max_iterations: int,
) -> Coefficients:
    """Minimise ``C·Σ loss + ½‖W‖²``, the penalised likelihood that scikit-learn minimises too.

    Args:
        features: float32 [rows, features].
        targets: 0 and 1 [rows, labels]; one 1 a row where ``exclusive``.
        inverse_penalty: C; larger fits closer.
        exclusive: softmax over the labels instead of a sigmoid each.
        max_iterations: of L-BFGS; stopping early is a mild regulariser here.

    Returns:
        weights [features, labels] and biases [labels], float32.
    """
    rows = features.shape[0]
    matrix, transposed = _tensor(features), _tensor(features.T)
    truth = torch.from_numpy(targets.astype(np.float32))
    weights = torch.zeros(features.shape[1], truth.shape[1], requires_grad=True)
    bias = prior_logits(truth, exclusive=exclusive).requires_grad_()
    shrink = 1 / (inverse_penalty * rows)
    optimizer = torch.optim.LBFGS(
        [weights, bias],
        max_iter=max_iterations,
        history_size=_HISTORY,
        tolerance_grad=_TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    @torch.no_grad()
    def evaluate() -> torch.Tensor:
        logits = torch.mm(matrix, weights) + bias
        if exclusive:
            loss = torch.nn.functional.cross_entropy(logits, truth)
            slope = (logits.softmax(-1) - truth) / rows
        else:
            loss = torch.nn.functional.softplus(logits).sub_(truth * logits).sum() / rows
            slope = (logits.sigmoid() - truth) / rows
        weights.grad = torch.mm(transposed, slope).add_(weights, alpha=shrink)
        bias.grad = slope.sum(0)
        total: torch.Tensor = loss + weights.square().sum() * (shrink / 2)
        return total

    optimizer.step(evaluate)  # type: ignore[no-untyped-call]  # PyTorch's own
    return weights.detach().numpy(), bias.detach().numpy()


def prior_logits(truth: torch.Tensor, *, exclusive: bool) -> torch.Tensor:
    """Logits of each label's base rate (half a positive added) [labels]."""
    rate = (truth.sum(0) + 0.5) / (len(truth) + 1)
    return rate.log() if exclusive else rate.logit()


def _tensor(given: Features) -> torch.Tensor:
    if isinstance(given, np.ndarray):
        return torch.from_numpy(given.astype(np.float32, copy=False))
    matrix = given.tocsr()
    with warnings.catch_warnings():
        # PyTorch calls its CSR format beta and says that it checks nothing; SciPy built these
        # rows, and only their product with a dense matrix is used.
        warnings.filterwarnings("ignore", "Sparse (CSR|invariant)", UserWarning)
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int32)),
            torch.from_numpy(matrix.indices.astype(np.int32)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            check_invariants=False,
        )
