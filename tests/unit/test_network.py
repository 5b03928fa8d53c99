"""The network starts at the baseline, and the table loss is the plain one."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.model.network import PinballTable, ResidualNetwork


def test_an_untrained_network_is_the_baseline():
    """Before training neither centre nor stretch moves, whatever the inputs."""
    torch.manual_seed(0)
    network = ResidualNetwork(5, 7, 3, hidden_size=8, dropout=0.2, moves_center=True)

    center, log_stretch = network(torch.randn(30, 4, 5), torch.rand(6, 3, 7), torch.randint(0, 6, (80,)), 10)

    assert center.shape == log_stretch.shape == (3, 80)
    assert not center.any()
    assert not log_stretch.any()


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(3, 9))
def test_the_table_loss_equals_the_naive_loop(seed, horizon, n_levels):
    """The steps of the knots below give the mean over all levels, and the same gradients."""
    rng = np.random.default_rng(seed)
    levels = np.sort(rng.uniform(0.01, 0.99, n_levels))
    baseline = np.sort(rng.normal(size=(horizon, n_levels)), axis=1)
    m, g, z = (torch.tensor(rng.normal(size=(horizon, 6)), requires_grad=k < 2) for k in range(3))

    fast = PinballTable(torch.tensor(baseline), torch.tensor(levels))(m, g, z)
    slow = torch.zeros(horizon, 6, dtype=torch.float64)
    for k, level in enumerate(levels):
        error = z - (m + g.exp() * torch.tensor(baseline[:, [k]]))
        slow = slow + torch.where(error > 0, level * error, (level - 1) * error) / n_levels

    torch.testing.assert_close(fast, slow)
    for expected, found in zip(
        torch.autograd.grad(slow.sum(), (m, g)), torch.autograd.grad(fast.sum(), (m, g)), strict=True
    ):
        torch.testing.assert_close(found, expected)
