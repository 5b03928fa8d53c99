"""No target reaches into the block behind its own."""

import numpy as np
import pandas as pd
import pytest

from loopcast.errors import DataRefusedError
from loopcast.features import build_design
from loopcast.model.split import split_for_service, split_walk_forward
from tests.panels import make_panel, make_panel_problem


def test_targets_end_before_the_next_block_begins():
    """The last target of every training and validation origin is known before the next block starts."""
    problem = make_panel_problem()
    design = build_design(make_panel(n_series=3, n_steps=700), problem)

    folds = split_walk_forward(design, problem)

    assert len(folds) == 3
    for fold in folds:
        times, ends = design.timestamp_utc, design.target_end_utc
        assert ends[fold.train].max() < times[fold.validation].min()
        assert ends[fold.validation].max() < times[fold.test].min()
        assert np.isin(fold.fit, np.r_[fold.train, fold.validation]).all()


def test_a_slow_series_in_a_fast_panel_is_purged_by_its_own_steps():
    """A weekly series among daily ones reaches weeks ahead, and is purged by weeks."""
    problem = make_panel_problem(quality={"bridge_steps": 10})
    daily, weekly = make_panel(n_series=1, n_steps=900), make_panel(n_series=1, n_steps=900).iloc[::5]
    design = build_design(pd.concat([daily, weekly.assign(series_id="W")], ignore_index=True), problem)

    split = split_for_service(design, problem)

    slow = split.train[design.series[split.train] == 1]
    assert len(slow)
    assert design.target_end_utc[slow].max() < design.timestamp_utc[split.validation].min()


def test_each_tested_origin_is_tested_once():
    """The folds cut the tested time into blocks that do not overlap."""
    problem = make_panel_problem()
    design = build_design(make_panel(n_steps=800), problem)

    tested = np.concatenate([fold.test for fold in split_walk_forward(design, problem)])

    assert len(tested) == len(np.unique(tested))
    assert design.is_origin[tested].all()


def test_too_short_data_are_refused_in_one_sentence():
    """A panel without room for one fold says how many steps it has and how many it needs."""
    problem = make_panel_problem()
    design = build_design(make_panel(n_steps=150), problem)

    with pytest.raises(DataRefusedError, match=r"prices: 150 steps .* needs more than \d+"):
        split_walk_forward(design, problem)


@pytest.mark.parametrize(
    ("validation_steps", "advice"),
    [(120, "widen the source, or raise training.validation_steps"), (300, "or lower training.validation_steps")],
    ids=["a block that the horizon eats up", "a block that leaves nothing to train on"],
)
def test_a_block_that_is_too_short_is_refused_with_the_way_to_a_longer_one(validation_steps, advice):
    """Which of the two blocks is short decides in which direction the key is to be moved."""
    problem = make_panel_problem(horizon=100, training={"validation_steps": validation_steps})
    design = build_design(make_panel(n_series=1, n_steps=600), problem)

    with pytest.raises(DataRefusedError) as refused:
        split_for_service(design, problem)

    assert str(refused.value).endswith(advice)


def test_data_that_never_change_are_refused():
    """A source of one value would train a model of nothing; the sentence says so."""
    problem = make_panel_problem()
    design = build_design(make_panel(n_steps=600).assign(target=7.0), problem)

    with pytest.raises(DataRefusedError, match="prices: no series ever changes"):
        split_for_service(design, problem)
