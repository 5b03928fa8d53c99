"""The residual quantile LSTM: how far to move and stretch a baseline's quantiles, and the loss that judges it.

An untrained network outputs exactly the baseline, because every final layer starts at zero. Training can only depart
from it where the data pay for the departure.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from loopcast.model.stretch import MAX_LOG_STRETCH


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
        self.lstm = nn.LSTM(n_features, hidden_size) if hidden_size else None
        self.dropout = dropout
        self.head = nn.Linear(hidden_size, 2 * horizon) if hidden_size else None
        self.linear = nn.Linear(n_features, 2 * horizon)
        self.calendar = nn.Linear(n_calendar, 2 if moves_center else 1, bias=False) if n_calendar else None
        for layer in (self.head, self.linear, self.calendar):
            if layer is not None:
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)

    def forward(self, inputs: Tensor, patterns: Tensor, pattern: Tensor, skip: int) -> tuple[Tensor, Tensor]:
        """Centre and log-stretch of the answered rows, those from `skip` on, each of shape (H, n).

        Rows run before the batch, as the LSTM reads them, and horizons come first: so nothing is transposed, and a
        product of few rows and many columns takes a fifth of the time of its mirror image.

        Args:
            inputs: Features, shape (rows, batch, F).
            patterns: Calendar shares, less their mean in training, shape (patterns, H, C).
            pattern: Pattern of each answered row, shape (n,) with n = (rows - skip) x batch.
            skip: Rows that only warm the state.
        """
        bias = self.linear.bias if self.head is None else self.linear.bias + self.head.bias
        out = torch.addmm(bias[:, None], self.linear.weight, inputs[skip:].flatten(0, 1).t())
        if self.lstm is not None and self.head is not None:
            state = self._drop(self.lstm(inputs)[0][skip:])
            out = torch.addmm(out, self.head.weight, state.flatten(0, 1).t())
        center, log_stretch = out.unflatten(0, (2, self.horizon)).unbind()
        if self.calendar is not None:
            # The table is small: it is answered once, and its columns are looked up.
            table = self.calendar(patterns).flatten(1).t()
            shift = table.index_select(1, pattern).unflatten(0, (self.horizon, -1))
            log_stretch = log_stretch + shift[:, -1]
            if self.moves_center:
                center = center + shift[:, 0]
        if not self.moves_center:
            center = torch.zeros_like(center)
        # A clamp; the derivative of `clamp` itself takes four kernels instead of one.
        return center, functional.hardtanh(log_stretch, -MAX_LOG_STRETCH, MAX_LOG_STRETCH)

    def _drop(self, state: Tensor) -> Tensor:
        """Leave out the same units at every row of a chunk, by one draw (Gal and Ghahramani, 2016)."""
        if not self.training or self.dropout == 0:
            return state
        kept = torch.rand(state.shape[1:]) >= self.dropout
        return state * (kept / (1 - self.dropout))


class PinballTable:
    """Mean pinball loss of the quantiles m + e^g q0, from a table of its knots instead of K losses.

    With u = (z - m) / e^g the loss is e^g times a convex piecewise-linear function of u whose knots are q0, the same
    for every row. Each knot below u adds its step to the slope and the intercept of the piece that holds u; one product
    adds them all up. Exact, and differentiable in m and g.

    Args:
        baseline: Baseline quantiles q0 of the standardised targets, ascending, shape (H, K).
        levels: Quantile levels, shape (K,).
    """

    def __init__(self, baseline: Tensor, levels: Tensor) -> None:
        self.knots = baseline[:, :, None].contiguous()
        self.first = torch.stack([(levels - 1).expand_as(baseline), (1 - levels) * baseline], 1).mean(2, keepdim=True)
        self.steps = torch.stack([torch.ones_like(baseline), -baseline], 1) / len(levels)

    def __call__(self, center: Tensor, log_stretch: Tensor, targets: Tensor) -> Tensor:
        """The loss of each horizon and row, shape (H, n), in units of the row's scale.

        Args:
            center, log_stretch, targets: m, g and z, each of shape (H, n).
        """
        stretch = log_stretch.exp()
        error = targets - center
        with torch.no_grad():
            scaled = (error / stretch)[:, None]
            # Into floats: a comparison that yields booleans is not vectorised and takes six times as long.
            is_below = torch.lt(self.knots, scaled, out=scaled.new_empty(*self.knots.shape[:2], scaled.shape[2]))
            slope, intercept = torch.baddbmm(self.first, self.steps, is_below).unbind(1)
        return slope * error + stretch * intercept
