"""The columns that are watched for drift, in order of time: one track for each series, and one for their mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from loopcast.health.steps import WATCHED, Column, Steps
from loopcast.typing import Floats, Times

POOLED: Final = "*"
"""The name of the mean over all series; no series is called so in a problem that has several."""
OF_VERSION: Final = (Column.INTERVAL_WIDTH, Column.MEDIAN_LOCATION)
"""Watched columns that say something of the model, and not of its inputs."""


@dataclass(frozen=True)
class Track:
    """Watched columns of one series; n origins.

    Attributes:
        origin_utc: Ascending, shape (n,).
        values: Each watched column, NaN where it is not known, shape (n,).
    """

    origin_utc: Times
    values: Mapping[Column, Floats]

    def means(self) -> dict[Column, float]:
        """Of each column, over what is known; NaN where nothing is."""
        return {
            column: float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
            for column, values in self.values.items()
        }

    def last(self, n_steps: int) -> "Track":
        """The last origins."""
        return Track(self.origin_utc[-n_steps:], {column: v[-n_steps:] for column, v in self.values.items()})


def split_tracks(steps: Steps, values: Mapping[Column, Floats], model_version: int | None = None) -> dict[str, Track]:
    """A track for each series; of several forecasts of one series and origin the mean.

    Args:
        values: Columns of the steps as `measure_columns` gives them.
        model_version: Whose intervals are watched; those of others are not known. None: of all versions.
    """
    is_next = steps.horizon == 1
    frame = pd.DataFrame(
        {"series": steps.series[is_next], "origin_utc": steps.origin_utc[is_next]}
        | {column.value: values[column][is_next] for column in WATCHED}
    )
    if model_version is not None:
        frame.loc[steps.model_version[is_next] != model_version, list(OF_VERSION)] = np.nan
    means = frame.groupby(["series", "origin_utc"]).mean()
    tracks = {}
    for code, rows in means.groupby(level="series"):
        origins = rows.index.get_level_values("origin_utc").to_numpy()
        name = steps.series_ids[int(str(code))]
        tracks[name] = Track(origins, {column: rows[column.value].to_numpy(dtype=float) for column in WATCHED})
    return tracks


def pool_tracks(tracks: Mapping[str, Track], means: Mapping[str, Mapping[Column, float]]) -> dict[str, Track]:
    """The tracks and, where there are several, that of their mean: what moves all series a little is seen there first.

    Args:
        means: Of each series' columns in training. Each series is centred by its own before the mean over the series
            is taken, so that one that comes or goes moves nothing; series without them are left out of it.
    """
    if len(tracks) < 2:
        return dict(tracks)
    pooled = {}
    for column in WATCHED:
        centred = [
            pd.Series(track.values[column] - means[name][column], index=track.origin_utc)
            for name, track in tracks.items()
            if name in means
        ]
        if not centred:
            return dict(tracks)
        middle = float(np.mean([known[column] for name, known in means.items() if name != POOLED]))
        pooled[column] = pd.concat(centred, axis=1).mean(axis=1).sort_index() + middle
    origins = pooled[Column.LOG_DEVIATION].index.to_numpy()
    return {**tracks, POOLED: Track(origins, {c: each.to_numpy(dtype=float) for c, each in pooled.items()})}
