"""Why a forecast is wide, feature by feature and lag by lag: it adds up, and says what a linear model is made of."""

import numpy as np
import pytest

from loopcast.errors import AttributionError, DataRefusedError
from loopcast.features import build_design
from loopcast.model.attribution import attribute_width
from loopcast.model.baselines import Har
from loopcast.model.folder import read_forecaster
from loopcast.model.residual import Linear
from loopcast.model.split import split_for_service
from loopcast.queries.explanation import MAX_ERROR, explain_latest
from loopcast.queries.kinds import QueryCancelledError
from loopcast.queries.requests import ExplanationRequest
from loopcast.queries.wording import Group, describe_effect
from tests.panels import make_panel, make_panel_problem
from tests.queried import PRICED, hear_nothing, make_champion, make_formula

ASKED = ExplanationRequest(series_id="S1")


@pytest.mark.parametrize("calendar", [[], ["day_of_week"]])
def test_it_leads_from_the_width_that_the_quick_explanation_expects_to_the_one_it_finds(tmp_path, calendar):
    """Both explain the same value, and all that is finer adds up to the same."""
    champion = make_champion(tmp_path, problem=make_panel_problem(columns=PRICED, features={"calendar": calendar}))
    quick = attribute_width(champion.model, champion.design, champion.find_latest("S1"), champion.background)

    found = explain_latest(ASKED, champion, hear_nothing)

    total = found.expected_log_stretch + sum(each.log_stretch for each in found.groups)
    sizes = [abs(each.log_stretch) for each in found.groups]
    assert found.expected_log_stretch == pytest.approx(quick.expected, abs=1e-6)
    assert found.found_log_stretch == pytest.approx(quick.found, abs=1e-6)
    assert total == pytest.approx(found.found_log_stretch, abs=1e-9)
    assert abs(found.additivity_error) < 1e-9
    assert found.max_error <= MAX_ERROR
    assert len(found.groups) == len(champion.design.feature_names) * 5 + len(calendar)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0.01


def test_a_linear_model_is_explained_by_its_coefficients(tmp_path):
    """Each feature of the last step adds its distance from the mean times its weight; what was before adds nothing."""
    champion = make_champion(tmp_path, network=Linear, problem=make_panel_problem(columns=PRICED))
    arrays, design = read_forecaster(tmp_path).arrays, champion.design
    weights = np.mean([arrays[f"network.{i}.linear.weight"][design.horizon :] for i in range(2)], axis=(0, 1))
    distance = design.inputs[champion.find_latest("S1")] - champion.background

    found = explain_latest(ASKED, champion, hear_nothing)

    by_group = {(each.feature, each.lag_bucket): each.log_stretch for each in found.groups}
    for feature, expected in zip(design.feature_names, weights * distance, strict=True):
        assert by_group[feature, "0"] == pytest.approx(expected, abs=2e-4)
    assert max(abs(value) for (_, lag), value in by_group.items() if lag not in {"0", ""}) < 1e-6


def test_a_formula_explains_itself(tmp_path):
    """The sentence says which it is, and what can be explained."""
    problem, panel = make_panel_problem(), make_panel()
    design = build_design(panel, problem)
    champion = make_formula(tmp_path, Har.fit(design, split_for_service(design, problem), problem), problem, panel)

    with pytest.raises(AttributionError, match="version 3, which is in service, is har, a formula of few inputs"):
        explain_latest(ASKED, champion, hear_nothing)


def test_an_unknown_series_is_refused_with_the_one_that_was_meant(tmp_path):
    """As names are often misspelt."""
    with pytest.raises(DataRefusedError, match=r"found series s1, which is not forecast; did you mean S1\?"):
        explain_latest(ExplanationRequest(series_id="s1"), make_champion(tmp_path), hear_nothing)


def test_it_stops_at_the_first_report_after_it_was_asked_to(tmp_path):
    """Each round reports."""
    told = []

    def stop(ratio, sentence):
        told.append((ratio, sentence))
        raise QueryCancelledError("stopped")

    with pytest.raises(QueryCancelledError):
        explain_latest(ASKED, make_champion(tmp_path), stop)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("group", "log_stretch", "sentence"),
    [
        (
            Group("variance_5", "0", 0, 0, is_high=False), -0.06,
            "Low volatility over the last 5 business days narrows the intervals by 5.8 %.",
        ),
        (
            Group("market_variance_1", "1–4", 1, 4, is_high=True), 0.1,
            "High volatility of all series over one business day, 1–4 steps before the last, widens the intervals "
            "by 10.5 %.",
        ),
        (
            Group("change", "0", 0, 0, is_rise=True), 0.01,
            "A rise over the last business day widens the intervals by 1.0 %.",
        ),
        (
            Group("change_22", "5–21", 5, 21), -0.01,
            "A fall over 22 business days, 5–21 steps before the last, narrows the intervals by 1.0 %.",
        ),
        (
            Group("overnight_change", "0", 0, 0), 0.02,
            "A fall from close to open at the last step widens the intervals by 2.0 %.",
        ),
        (Group("volume", "0", 0, 0, is_high=True), 0.02, "High volume at the last step widens the intervals by 2.0 %."),
        (
            Group("variance_all", "0", 0, 0), 0.02,
            "Low volatility since the history began up to the last step widens the intervals by 2.0 %.",
        ),
        (
            Group("calendar"), 0.02,
            "Where the steps ahead lie in the calendar (day of week) widens the intervals by 2.0 %.",
        ),
    ],
)  # fmt: skip
def test_each_kind_of_group_is_told_in_plain_words(group, log_stretch, sentence):
    """No name of a feature is left in it."""
    assert describe_effect(group, log_stretch, make_panel_problem(columns=PRICED)) == sentence
