"""Muon: momentum whose update is made (nearly) orthogonal. Learns sums in fewer examples than AdamW.

Source: Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with its
quintic Newton-Schulz coefficients (3.4445, -4.7750, 2.0315), five steps in bfloat16 and its scale
max(1, rows/columns)^0.5.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrix, roughly: all singular values are moved to about 1.

    Args:
        matrix: `float32[rows, columns]`.
    """
    x = (matrix / (matrix.norm() + 1e-7)).bfloat16()
    tall = x.size(0) > x.size(1)
    x = x.T if tall else x
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.T if tall else x).float()


class Muon(torch.optim.Optimizer):  # type: ignore[misc, unused-ignore]
    """For the two-dimensional weights of the hidden layers only; embeddings and norms go to AdamW."""

    def __init__(
        self, weights: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def step(self, closure: None = None) -> None:  # type: ignore[override, unused-ignore]
        """Move every weight by one orthogonalised Nesterov momentum."""
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                velocity = state.setdefault("velocity", torch.zeros_like(weight))
                velocity.lerp_(weight.grad, 1 - group["momentum"])
                update = orthogonalise(weight.grad.lerp(velocity, group["momentum"]))
                scale = max(1.0, weight.size(0) / weight.size(1)) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * scale)
