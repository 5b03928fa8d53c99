"""AdamW with clipped gradients and a one-cycle rate, over one vector that holds every parameter.

It takes the steps of `torch.optim.AdamW`, `clip_grad_norm_` and `OneCycleLR` in a few kernels instead of a hundred,
which for a network this small is a seventh of the training, and without the compiler that `torch.optim` imports, which
costs each process a second and 70 MB. The kernel of the step itself is the one behind `torch.optim.AdamW(fused=True)`.

Source: Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization; Smith and Topin (2018), Super-Convergence.
"""

import math
from typing import Any, Final

import torch
from torch import nn

MAX_GRADIENT_NORM: Final = 1.0
WARMUP_SHARE: Final = 0.15
"""Share of the steps in which the rate rises and the momentum falls."""
START_DIVISOR: Final = 25.0
"""What the highest rate is divided by at the first step."""
END_DIVISOR: Final = 1e4
"""What the first rate is divided by at the last step."""
MOMENTUM: Final = (0.85, 0.95)
"""Decay of the mean gradient at the highest rate, and at the ends."""
SQUARE_DECAY: Final = 0.999
EPSILON: Final = 1e-8


class FlatAdamW:
    """Steps for all parameters of a network, which become views of one vector.

    Args:
        network: Its parameters and gradients are moved into vectors of the optimizer.
        rate: Highest learning rate.
        weight_decay: Share of a weight that a unit of rate takes away.
        n_steps: Steps of the whole schedule.
    """

    def __init__(self, network: nn.Module, *, rate: float, weight_decay: float, n_steps: int) -> None:
        self.rate, self.weight_decay, self.n_steps = rate, weight_decay, n_steps
        parameters = list(network.parameters())
        self.values = torch.cat([each.detach().flatten() for each in parameters])
        self.gradient, self.mean, self.square = (torch.zeros_like(self.values) for _ in range(3))
        self.n_taken = 0
        sizes = [each.numel() for each in parameters]
        for each, value, gradient in zip(parameters, self.values.split(sizes), self.gradient.split(sizes), strict=True):
            each.data, each.grad = value.view_as(each), gradient.view_as(each)

    @torch.no_grad()
    def step(self) -> None:
        """Take the step of the gradients that backward passes have added up, and clear them."""
        rate, momentum = one_cycle(self.n_taken, self.n_steps, self.rate)
        self.n_taken += 1
        torch._fused_adamw_(
            [self.values], [self.gradient], [self.mean], [self.square], [], [torch.tensor(float(self.n_taken))],
            lr=rate, beta1=momentum, beta2=SQUARE_DECAY, weight_decay=self.weight_decay, eps=EPSILON,
            amsgrad=False, maximize=False, grad_scale=(self.gradient.norm() / MAX_GRADIENT_NORM).clamp_(min=1),
        )  # fmt: skip
        self.gradient.zero_()

    def state(self) -> dict[str, Any]:
        """What the next step depends on beside the parameters."""
        return {"n_taken": self.n_taken, "mean": self.mean, "square": self.square}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state`."""
        self.n_taken = state["n_taken"]
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])


def one_cycle(n_taken: int, n_steps: int, rate: float) -> tuple[float, float]:
    """Rate and momentum after `n_taken` of `n_steps` steps: half a cosine up and half a cosine down.

    >>> [round(one_cycle(n, 101, 1.0)[0], 4) for n in (0, 14, 57, 100)]
    [0.04, 0.9997, 0.5014, 0.0]
    """
    top = WARMUP_SHARE * n_steps - 1
    if n_taken <= top:
        low, share = rate / START_DIVISOR, (top - n_taken) / top
    else:
        low, share = rate / START_DIVISOR / END_DIVISOR, (n_taken - top) / (n_steps - 1 - top)
    way = (1 - math.cos(math.pi * share)) / 2
    return rate + (low - rate) * way, MOMENTUM[0] + (MOMENTUM[1] - MOMENTUM[0]) * way
