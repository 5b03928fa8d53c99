"""Histograms merge by addition, and their distances are those of the samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, wasserstein_distance

from loopcast.health.histogram import (
    N_BINS,
    Bins,
    Histogram,
    choose_bins,
    count_values,
    measure_ks,
    measure_wasserstein,
    read_quantiles,
)

VALUES = st.lists(st.floats(-1e9, 1e9), max_size=50).map(np.array)


@given(VALUES)
def test_every_value_lies_between_the_edges_of_its_bin(values):
    """The place that is computed is the place that a search among the edges finds."""
    bins = Bins(-2.0, 3.0)
    edges = bins.edges
    places = bins.place(values)

    slack = 1e-9 * np.maximum(1, np.abs(values))
    inner = (values > edges[0]) & (values < edges[-1])
    assert (edges[places] <= values + slack)[inner].all()
    assert (values - slack <= edges[places + 1])[inner].all()
    assert (places[values <= edges[0]] == 0).all()
    assert (places[values >= edges[-1]] == N_BINS - 1).all()


@given(VALUES, VALUES)
def test_the_sum_of_histograms_is_that_of_all_values(ours, theirs):
    """Counts, missing values and extremes add exactly, moments but for rounding."""
    bins = Bins(-1.0, 1.0)
    merged = count_values(ours, bins) + count_values(theirs, bins)
    whole = count_values(np.r_[ours, theirs, np.empty(0)], bins)

    assert (merged.counts == whole.counts).all()
    assert (merged.minimum, merged.maximum) == (whole.minimum, whole.maximum)
    assert merged.total == pytest.approx(whole.total, abs=1e-3)
    assert merged + Histogram.empty(bins) == merged


def test_what_is_no_number_is_told_apart():
    """NaN is missing; infinities are counted in the outermost bins and leave the moments alone."""
    found = count_values(np.array([np.nan, 1.0, np.inf, -np.inf, 3.0]), Bins(0.0, 4.0))

    assert (found.n, found.n_missing, found.total, found.minimum, found.maximum) == (4, 1, 4.0, 1.0, 3.0)
    assert (found.counts[0], found.counts[-1]) == (1, 1)


@pytest.mark.parametrize(("freedom", "shift", "scale"), [(4, 0.1, 1.0), (4, 0.0, 1.3), (30, 0.05, 1.1), (3, -1.0, 1.0)])
def test_distances_are_those_of_the_samples(freedom, shift, scale):
    """Kolmogorov-Smirnov to within 0.0033 and never above, Wasserstein within 1.5 %, with fat tails."""
    rng = np.random.default_rng(5)
    reference, live = rng.standard_t(4, 100_000), shift + scale * rng.standard_t(freedom, 20_000)
    bins = choose_bins(reference)
    ours, theirs = count_values(live, bins), count_values(reference, bins)

    exact = ks_2samp(live, reference).statistic
    assert exact - 0.0033 <= measure_ks(ours, theirs) <= exact + 1e-12
    assert measure_wasserstein(ours, theirs) == pytest.approx(wasserstein_distance(live, reference), rel=0.015)


def test_quantiles_are_read_to_within_a_bin():
    """Of a skewed sample, out into its tail."""
    values = np.random.default_rng(1).exponential(size=50_000)
    levels = np.array([0.0, 0.01, 0.5, 0.99, 0.9999, 1.0])
    found = read_quantiles(count_values(values, choose_bins(values)), levels)

    assert found == pytest.approx(np.quantile(values, levels), rel=0.02, abs=0.005)


def test_nothing_is_far_from_nothing():
    """Without values a distance and a quantile are undefined, not zero."""
    bins = Bins(0.0, 1.0)
    some, none = count_values(np.array([0.5]), bins), Histogram.empty(bins)

    assert np.isnan([measure_ks(none, some), measure_wasserstein(some, none), none.mean, none.deviation]).all()
    assert np.isnan(read_quantiles(none, np.array([0.5]))).all()


def test_histograms_with_other_edges_are_refused():
    """The message names both."""
    with pytest.raises(ValueError, match=r"low=0.0, high=1.0.*low=0.0, high=2.0"):
        Histogram.empty(Bins(0.0, 1.0)) + Histogram.empty(Bins(0.0, 2.0))
    with pytest.raises(ValueError, match="none of 2 values is finite"):
        choose_bins(np.array([np.nan, np.inf]))
