"""How a benchmark tells its figures: a table on the terminal, and a flat JSON file with machine, date and versions."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from loopcast.evidence.formats import align_columns

FOLDER: Final = Path(__file__).parent / "results"
CPU_FILE: Final = Path("/proc/cpuinfo")
PACKAGES: Final = ("torch", "onnxruntime", "numpy", "pandas", "arch", "flytekit", "mlflow", "bentoml", "fastapi")
"""Packages whose versions move the figures."""


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned lines, the first column to the left, the others to the right.

    >>> print(format_table([["", "t"], ["EWMA", "6.2"]]))
            t
    EWMA  6.2
    """
    return "\n".join(align_columns(rows))


@dataclass(frozen=True)
class Target:
    """Where one figure of a benchmark should be.

    Attributes:
        key: Its name in the results.
        label: Its name in the table.
        digits: Behind the point.
        low, high: Ends of where it should be; None for no end.
    """

    key: str
    label: str
    digits: int
    low: float | None = None
    high: float | None = None

    def describe(self, value: float) -> str:
        """Whether a value is where it should be, in words.

        >>> Target("t", "t", 1, low=4).describe(6.2), Target("c", "c", 2, low=0.78, high=0.82).describe(0.7)
        ('reached: >= 4', 'missed: 0.78 to 0.82')
        """
        is_reached = (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
        if self.low is None:
            wanted = f"<= {self.high:.3g}"
        else:
            wanted = f">= {self.low:.3g}" if self.high is None else f"{self.low:.3g} to {self.high:.3g}"
        return f"{'reached' if is_reached else 'missed'}: {wanted}"


def format_targets(figures: dict[str, float], targets: Sequence[Target]) -> str:
    """The figures that have a target, and whether they reach it."""
    return format_table([[t.label, f"{figures[t.key]:.{t.digits}f}", t.describe(figures[t.key])] for t in targets])


def write_results(name: str, figures: dict[str, float]) -> None:
    """Write `results/NAME.json` and say so."""
    content = {
        **figures,
        "machine": describe_machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": ", ".join([f"python {platform.python_version()}", *(f"{p} {version(p)}" for p in PACKAGES)]),
    }
    file = FOLDER / f"{name}.json"
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"\nWritten: {file}")


def describe_machine() -> str:
    """Model and number of the cores that this process may use."""
    lines = CPU_FILE.read_text(encoding="utf-8").splitlines() if CPU_FILE.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor() or platform.machine()}, {os.cpu_count()} cores"
