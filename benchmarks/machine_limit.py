"""Estimates how many origins per second one thread of this machine could train at best, whatever the code.

The limit is a sum of two times for each row that the LSTM reads, forward and backward, and counts nothing else: no
recurrence, no memory traffic, no gathering of rows, no loss, no optimizer.

- Products. Forward, the gates take 2 x 4 d (F + d) operations for F features and d hidden units, and the heads 2 H
  outputs each: 2 x 2H (F + d). Backward, each weight's gradient costs the same again, and so does the gradient that
  flows back into the d hidden units; nothing flows back into the features. They run at the rate of a square product.
- Transcendental functions. Each hidden unit takes three sigmoids and two tanh, each row H exponentials; backward needs
  none, because the derivatives follow from the values. They all run at the rate of tanh.

Of the `chunk_length` rows of a chunk, `burn_in_length` only warm the state and are no origins, but must be computed by
any code that starts a chunk with an empty state: `origins_per_s` counts them, `rows_per_s` is the limit without them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import torch

from loopcast.config import Problem

PRODUCT_SIZE: Final = 256
"""Rows and columns of the product that is timed: all three matrices fit the second-level cache."""
VECTOR_SIZE: Final = 16_384
"""Elements of the vector whose tanh is timed: 64 KiB."""
REPEATS: Final = 200


@dataclass(frozen=True)
class MachineLimit:
    """What one thread does at best.

    Attributes:
        operations_per_s: Additions and multiplications of a product in single precision.
        functions_per_s: Evaluations of tanh.
    """

    operations_per_s: float
    functions_per_s: float

    @classmethod
    def measure(cls) -> Self:
        """Time a product and a tanh on this thread."""
        square = torch.randn(PRODUCT_SIZE, PRODUCT_SIZE)
        product = torch.empty_like(square)
        vector = torch.randn(VECTOR_SIZE)
        result = torch.empty_like(vector)
        return cls(
            operations_per_s=2 * PRODUCT_SIZE**3 / _time(lambda: torch.mm(square, square, out=product)),
            functions_per_s=VECTOR_SIZE / _time(lambda: torch.tanh(vector, out=result)),
        )

    def rows_per_s(self, n_features: int, problem: Problem) -> float:
        """Rows that could be trained per second."""
        operations, functions = count_work(n_features, problem.network.hidden_size, problem.horizon)
        return 1 / (operations / self.operations_per_s + functions / self.functions_per_s)

    def origins_per_s(self, n_features: int, problem: Problem) -> float:
        """Origins that could be trained per second, with the rows that warm the state."""
        shape = problem.network
        return self.rows_per_s(n_features, problem) * (1 - shape.burn_in_length / shape.chunk_length)


def count_work(n_features: int, hidden_size: int, horizon: int) -> tuple[int, int]:
    """Operations of products, and evaluations of transcendental functions, to train one row.

    >>> count_work(n_features=12, hidden_size=16, horizon=5)
    (10656, 85)
    """
    width, gates, outputs = n_features + hidden_size, 4 * hidden_size, 2 * horizon
    forward = 2 * width * (gates + outputs)
    backward = forward + 2 * hidden_size * (gates + outputs)
    return forward + backward, 5 * hidden_size + horizon


def _time(call: Callable[[], object]) -> float:
    """Seconds of the processor for a call."""
    call()
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return steady_s(times)


def steady_s(times: Sequence[float]) -> float:
    """The time of an undisturbed repeat, in seconds: a tenth of them took less; other work on the machine only adds."""
    return float(np.quantile(times, 0.1))
