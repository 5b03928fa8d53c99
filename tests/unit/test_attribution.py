"""What widens a forecast is told exactly: shares that sum to the whole, and nothing for what has no say."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.errors import AttributionError
from loopcast.families import Family, describe_family, feature_names, list_features
from loopcast.features import build_design
from loopcast.model.attribution import attribute_width
from loopcast.model.baselines import Ewma
from loopcast.model.folder import save_forecaster
from loopcast.model.residual import Linear, Lstm
from loopcast.model.served import open_served_model
from loopcast.model.split import split_for_service
from loopcast.sections.data import Columns, Covariate, Ohlc
from tests.networks import save_network
from tests.panels import make_panel, make_panel_problem

RICH = Columns(
    timestamp="day",
    target="price",
    series_id="name",
    ohlc=Ohlc(open="open", high="high", low="low", close="close"),
    covariates=(Covariate(column="volume"), Covariate(column="mood")),
)
PANEL = make_panel(n_series=2, n_steps=400, has_ranges=True)
PANEL = PANEL.assign(
    covariate_volume=np.random.default_rng(1).uniform(1, 2, len(PANEL)),
    covariate_mood=np.random.default_rng(2).normal(size=len(PANEL)),
)
ROW = 399


def explain(folder, cls=Lstm, spread=0.2, **keys):
    """A network of a problem, its design, background, and why it is as wide as it is at a row."""
    problem = make_panel_problem(**keys)
    trained = save_network(folder, PANEL, problem, cls, spread=spread)
    design = build_design(PANEL, problem)
    background = design.inputs[design.is_ready].mean(axis=0)
    return trained, design, background, attribute_width(open_served_model(folder), design, ROW, background)


@pytest.mark.parametrize("cls", [Lstm, Linear])
@pytest.mark.parametrize("spread", [0.2, 1.0])  # the second stretches beyond its limits
@pytest.mark.parametrize("calendar", [[], ["day_of_week"]])
def test_the_shares_sum_to_what_the_width_differs_by(cls, spread, calendar, tmp_path):
    """They are those of the forecast that is served, against that of the average step."""
    keys = {"columns": RICH, "features": {"calendar": calendar}}

    trained, design, _, found = explain(tmp_path, cls, spread, **keys)

    assert len(found.groups) == len(set(found.groups)) == (8 if calendar else 7)
    assert found.values.sum() == pytest.approx(found.found - found.expected, abs=1e-9)
    _, stretch = trained.center_and_stretch(design, np.array([ROW]))
    assert found.found == pytest.approx(stretch.mean(), abs=1e-5)


def test_the_shares_are_those_of_every_order_of_arrival(tmp_path):
    """They equal the mean over all orders in which the groups come in, with the network asked in PyTorch."""
    trained, design, background, found = explain(tmp_path, features={"calendar": []})
    families = [family for _, family in list_features(make_panel_problem())]
    groups = sorted(set(families), key=list(Family).index)
    window = design.inputs[ROW - trained.context_length + 1 : ROW + 1]

    def stretch(present):
        mixed = np.where([family in present for family in families], window, background)
        with torch.no_grad():
            return float(trained.answer(torch.from_numpy(mixed)[None], torch.zeros(1, 3, 0))[1].mean())

    known = {}
    expected = dict.fromkeys(groups, 0.0)
    orders = list(permutations(groups))
    for order in orders:
        for k, group in enumerate(order):
            for part in (frozenset(order[:k]), frozenset(order[: k + 1])):
                known[part] = known.get(part) or stretch(part)
            expected[group] += (known[frozenset(order[: k + 1])] - known[frozenset(order[:k])]) / len(orders)

    np.testing.assert_allclose(found.values, list(expected.values()), atol=1e-5)


def test_a_group_as_on_average_has_no_say(tmp_path):
    """Where features are what they are on average, their share is zero."""
    _, design, background, _ = explain(tmp_path, columns=RICH)
    inputs = design.inputs.copy()
    is_covariate = [family is Family.COVARIATES for _, family in list_features(make_panel_problem(columns=RICH))]
    inputs[:, is_covariate] = background[is_covariate]

    found = attribute_width(open_served_model(tmp_path), replace(design, inputs=inputs), ROW, background)

    assert found.values[found.groups.index("volume, mood")] == pytest.approx(0, abs=1e-12)
    assert np.abs(found.values).max() > 0.01


def test_a_formula_explains_itself(tmp_path):
    """There is nothing to attribute, and the sentence says for which models there is."""
    problem = make_panel_problem()
    design = build_design(PANEL, problem)
    save_forecaster(Ewma.fit(design, split_for_service(design, problem), problem), problem, tmp_path)

    with pytest.raises(AttributionError, match=r"prices: the model in service is ewma, .* only the width of linear"):
        attribute_width(open_served_model(tmp_path), design, ROW, design.inputs.mean(axis=0))


def test_groups_speak_of_the_problem():
    """Their words hold its lengths and columns, and no hours or days, which steps may not be."""
    problem = make_panel_problem(columns=RICH, features={"scales": [1, 5, 22, 66], "calendar": ["week_of_quarter"]})

    assert [describe_family(family, problem) for family in Family] == [
        "change of the last step",
        "change over the last 5 and 22 steps",
        "volatility of the last 5 steps",
        "volatility of the last 66 steps and of all before",
        "change from close to open",
        "volume, mood",
        "volatility of all series at the same time",
        "calendar of the steps ahead: week of quarter",
    ]


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=6, unique=True).map(sorted),
    st.lists(st.sampled_from(["change", "variance_1", "volume", "mood", "rain"]), max_size=5, unique=True),
)
def test_every_feature_has_a_family(scales, covariates):
    """Whatever the problem, each feature is in one of the families, and each family has words of its own."""
    columns = RICH.model_copy(update={"covariates": tuple(Covariate(column=name) for name in covariates)})
    problem = make_panel_problem(columns=columns, features={"scales": scales, "calendar": ["hour"]})

    families = [family for _, family in list_features(problem)]

    assert len(families) == len(feature_names(problem))
    used = [*dict.fromkeys(families), Family.CALENDAR]
    assert len({describe_family(family, problem) for family in used}) == len(used)
