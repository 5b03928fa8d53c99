"""The residual quantile LSTM: how far to move and stretch a baseline's quantiles, and the loss that judges it.

An untrained network outputs exactly the baseline, because every final layer starts at zero. Training can only depart
from it where the data pay for the departure.
"""

from typing import Final

import torch
from torch import Tensor, nn

MAX_LOG_STRETCH: Final = 2.0
"""Intervals are stretched or squeezed by at most e^2, about seven times: beyond lies extrapolation."""


class ResidualNetwork(nn.Module):
    """Centre and log-stretch of each horizon's quantiles, from a state of the past and the calendar of the target.

    Args:
        n_features: Features in a row, F.
        n_calendar: Calendar positions, C; 0 for none.
        horizon: Steps ahead, H.
        hidden_size: Width of the LSTM; 0 leaves the linear head alone.
        dropout: Share of the LSTM's units left out in training.
        moves_center: Whether the centre is learned; otherwise it is zero.
    """

    def __init__(
        self, n_features: int, n_calendar: int, horizon: int, hidden_size: int, dropout: float, *, moves_center: bool
    ) -> None:
        super().__init__()
        self.horizon = horizon
        self.moves_center = moves_center
        self.lstm = nn.LSTM(n_features, hidden_size, batch_first=True) if hidden_size else None
        self.dropout = dropout
        self.head = nn.Linear(hidden_size, 2 * horizon) if hidden_size else None
        self.linear = nn.Linear(n_features, 2 * horizon)
        self.calendar = nn.Linear(n_calendar, 2 if moves_center else 1, bias=False) if n_calendar else None
        for layer in (self.head, self.linear, self.calendar):
            if layer is not None:
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)

    def forward(self, inputs: Tensor, patterns: Tensor, pattern: Tensor, skip: int) -> tuple[Tensor, Tensor]:
        """Centre and log-stretch of the rows from `skip` on, each of shape (batch, rows - skip, H).

        Args:
            inputs: Features, shape (batch, rows, F).
            patterns: Calendar shares, less their mean in training, shape (patterns, H, C).
            pattern: Pattern of each answered row, shape (batch, rows - skip).
            skip: Rows that only warm the state.
        """
        out = self.linear(inputs[:, skip:])
        if self.lstm is not None and self.head is not None:
            out = out + self.head(self._drop(self.lstm(inputs)[0][:, skip:]))
        center, log_stretch = out.unflatten(-1, (2, self.horizon)).unbind(-2)
        if self.calendar is not None:
            # The table is small: it is answered once, and its rows are looked up.
            shift = self.calendar(patterns).index_select(0, pattern.flatten()).unflatten(0, pattern.shape)
            log_stretch = log_stretch + shift[..., -1]
            if self.moves_center:
                center = center + shift[..., 0]
        if not self.moves_center:
            center = torch.zeros_like(center)
        return center, log_stretch.clamp(-MAX_LOG_STRETCH, MAX_LOG_STRETCH)

    def _drop(self, state: Tensor) -> Tensor:
        """Leave out the same units at every row of a chunk, by one draw (Gal and Ghahramani, 2016)."""
        if not self.training or self.dropout == 0:
            return state
        kept = torch.rand(len(state), 1, state.shape[-1]) >= self.dropout
        return state * (kept / (1 - self.dropout))


class PinballTable:
    """Mean pinball loss of the quantiles m + e^g q0, from one search in a table instead of K comparisons.

    With u = (z - m) / e^g the loss is e^g times a convex piecewise-linear function of u whose knots are q0, the same
    for every row; slope and intercept of the piece that holds u are looked up. Exact, and differentiable in m and g.

    Args:
        baseline: Baseline quantiles q0 of the standardised targets, ascending, shape (H, K).
        levels: Quantile levels, shape (K,).
    """

    def __init__(self, baseline: Tensor, levels: Tensor) -> None:
        n_levels = len(levels)
        self.columns = baseline[:, :, None].contiguous()
        below = (torch.arange(n_levels + 1)[:, None] <= torch.arange(n_levels)).to(baseline.dtype)
        weights = levels - below
        self.slopes = (weights.sum(1) / n_levels).expand(len(baseline), -1).contiguous()
        self.intercepts = -(weights[None] * baseline[:, None]).sum(-1) / n_levels

    def __call__(self, center: Tensor, log_stretch: Tensor, targets: Tensor) -> Tensor:
        """The loss of each row and horizon, shape (n, H), in units of the row's scale.

        Args:
            center, log_stretch, targets: m, g and z, each of shape (n, H).
        """
        stretch = log_stretch.exp()
        with torch.no_grad():
            # Counting the knots below by comparisons is twice as fast as a binary search in so short a table.
            scaled = ((targets - center) / stretch).t().contiguous()
            piece = (self.columns < scaled[:, None]).sum(1, dtype=torch.uint8).long()
            slope, intercept = self.slopes.gather(1, piece).t(), self.intercepts.gather(1, piece).t()
        return slope * (targets - center) + stretch * intercept
