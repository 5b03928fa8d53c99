"""How the time of a run divides among what its processes noted: pure functions over notes."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

IMPORTS = "imports"
WAITS_FOR_WORKERS = "model"
"""Label of work in which a process waits for helpers, so that their imports hold it up."""
REST = "rest"


class Span(NamedTuple):
    """A stretch of time of one process, in seconds of a clock that all share."""

    process: int
    start_s: float
    end_s: float
    label: str


def read_spans(text: str) -> list[Span]:
    """The notes of all processes, one a line.

    >>> read_spans("7 1.5 2.0 model")
    [Span(process=7, start_s=1.5, end_s=2.0, label='model')]
    """
    lines = (line.split() for line in text.splitlines())
    return [Span(int(process), float(start), float(end), label) for process, start, end, label in lines]


def divide_time(spans: Sequence[Span], start_s: float, end_s: float) -> dict[str, float]:
    """Seconds of each label between start and end, and of the rest; together the whole time.

    Of spans that cover one moment, the one that began last has it: what is called has the time, not its caller.
    Processes that only import are helpers of those that follow one another in the foreground; their imports count
    while the one in the foreground waits for them.

    >>> spans = [Span(1, 1, 8, "model"), Span(1, 2, 3, "imports"), Span(2, 5, 6, "imports"), Span(2, 8, 9, "imports")]
    >>> divide_time(spans, start_s=0, end_s=10)
    {'rest': 3.0, 'model': 5.0, 'imports': 2.0}
    """
    inside = [span for span in spans if span.start_s < end_s and span.end_s > start_s]
    foreground = {span.process for span in inside if span.label != IMPORTS}
    ours = [span for span in inside if span.process in foreground]
    helpers = [span for span in inside if span.process not in foreground]
    cuts = sorted({start_s, end_s, *(t for span in inside for t in span[1:3] if start_s < t < end_s)})
    seconds: dict[str, float] = defaultdict(float)
    for start, end in pairwise(cuts):
        label = _label_at(ours, start)
        if label == WAITS_FOR_WORKERS and any(span.start_s <= start < span.end_s for span in helpers):
            label = IMPORTS
        seconds[label] += end - start
    return dict(seconds)


def _label_at(spans: Sequence[Span], time_s: float) -> str:
    covering = [span for span in spans if span.start_s <= time_s < span.end_s]
    return max(covering, key=lambda span: span.start_s).label if covering else REST
