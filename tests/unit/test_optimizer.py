"""The optimizer on one vector takes the steps that PyTorch's parts take together."""

import pytest
import torch
from torch import nn

from loopcast.model.optimizer import FlatAdamW, one_cycle

RATE, WEIGHT_DECAY, N_STEPS = 3e-3, 1e-2, 60


def make_network() -> nn.Module:
    """Two layers of different shapes, the same each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def make_optimizer(network: nn.Module) -> FlatAdamW:
    """With the settings above."""
    return FlatAdamW(network, rate=RATE, weight_decay=WEIGHT_DECAY, n_steps=N_STEPS)


def add_gradients(network: nn.Module, step: int) -> None:
    """Backward pass of a loss whose gradient is clipped at some steps and not at others."""
    size = 10.0 if step % 2 else 0.01
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
    (size * network(inputs)).square().mean().backward()


def test_steps_equal_those_of_adamw_with_clipping_and_one_cycle():
    """After a whole schedule both networks hold the same weights, up to rounding."""
    ours, theirs = make_network(), make_network()
    optimizer = make_optimizer(ours)
    reference = torch.optim.AdamW(theirs.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(reference, RATE, total_steps=N_STEPS, pct_start=0.15)

    for step in range(N_STEPS):
        add_gradients(ours, step)
        optimizer.step()
        add_gradients(theirs, step)
        nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        reference.step()
        schedule.step()
        reference.zero_grad()

    for found, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_a_restored_optimizer_goes_on_to_the_same_bits():
    """State and weights taken up in the middle lead where the undisturbed run does."""
    undisturbed, stopped, resumed = make_network(), make_network(), make_network()
    whole, first = make_optimizer(undisturbed), make_optimizer(stopped)
    for step in range(20):
        for network, optimizer in ((undisturbed, whole), (stopped, first)):
            if network is undisturbed or step < 10:
                add_gradients(network, step)
                optimizer.step()

    second = make_optimizer(resumed)
    resumed.load_state_dict(stopped.state_dict())
    second.restore(first.state())
    for step in range(10, 20):
        add_gradients(resumed, step)
        second.step()

    assert torch.equal(second.values, whole.values)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 7, 80])
def test_the_rate_is_finite_and_positive_however_short_the_schedule(n_steps):
    """A schedule of a single step is as good as one of many."""
    rates = [one_cycle(n, n_steps, RATE)[0] for n in range(n_steps)]

    assert all(0 < rate <= RATE for rate in rates)
