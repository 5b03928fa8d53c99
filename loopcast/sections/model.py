"""What the network is, how it is fitted, and how better settings are searched for."""

from typing import Self

from pydantic import field_validator, model_validator

from loopcast.sections.base import DropoutRatio, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Section


class Network(Section):
    """Shape of the residual quantile LSTM."""

    hidden_size: PositiveInt = 16
    dropout: DropoutRatio = 0.2
    moves_center: bool = False
    """Whether the network may shift the median. Off for returns, where it adds noise; on for autocorrelated series."""
    context_length: PositiveInt = 84
    """Rows before and including the origin that the network reads when it answers."""
    burn_in_length: PositiveInt = 40
    """Rows at the head of a training chunk that warm the state and carry no loss."""
    chunk_length: PositiveInt = 128
    """Rows of a training chunk; every row behind the burn-in is an origin."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.burn_in_length < self.context_length <= self.chunk_length:
            raise ValueError(
                f"needs burn_in_length < context_length <= chunk_length, found "
                f"{self.burn_in_length}, {self.context_length}, {self.chunk_length}"
            )
        return self


class Training(Section):
    """How the network is fitted."""

    n_seeds: PositiveInt = 5
    """Networks whose outputs are averaged; five halve the seed-to-seed spread of the skill."""
    first_seed: NonNegativeInt = 0
    max_epochs: PositiveInt = 80
    patience_epochs: PositiveInt = 15
    learning_rate: PositiveFloat = 3e-3
    weight_decay: NonNegativeFloat = 1e-2
    batch_chunks: PositiveInt = 32
    """Chunks of a step at least; a panel of more than 500 chunks takes more, up to 128."""
    validation_steps: PositiveInt = 250
    """Last steps before the present (or a fold's test block): early stopping and conformal calibration."""

    @property
    def seeds(self) -> range:
        """Seed of each network."""
        return range(self.first_seed, self.first_seed + self.n_seeds)


class Tuning(Section):
    """The optional search for better training settings."""

    n_seeds: PositiveInt = 2
    """Networks averaged in a trial; fewer than in training, for speed."""
    hidden_sizes: tuple[PositiveInt, ...] = (8, 16, 32)
    learning_rates: tuple[PositiveFloat, PositiveFloat] = (1e-3, 1e-2)
    weight_decays: tuple[NonNegativeFloat, NonNegativeFloat] = (1e-3, 1e-1)
    dropouts: tuple[DropoutRatio, DropoutRatio] = (0.0, 0.4)

    @field_validator("learning_rates", "weight_decays", "dropouts")
    @classmethod
    def _ascend(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if ends[0] > ends[1]:
            raise ValueError(f"found {list(ends)}, needs the lower end first")
        return ends
