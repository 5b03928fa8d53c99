"""Chunks cover every origin, read the rows they should, and give what window by window would."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.features import build_design, window_rows
from loopcast.model.training import _Chunks, calendar_mean, make_network
from tests.panels import make_panel, make_panel_problem

PROBLEM = make_panel_problem()
DESIGN = build_design(make_panel(n_series=3, n_steps=300), PROBLEM)


@settings(deadline=None, max_examples=30)
@given(
    st.sets(st.sampled_from(np.flatnonzero(DESIGN.is_origin).tolist()), min_size=1), st.sampled_from([0, 22, 44, 66])
)
def test_chunks_cover_exactly_the_chosen_origins(chosen, shift):
    """Each chosen origin carries weight in some chunk, and no other row does."""
    rows = np.array(sorted(chosen))
    chunks = _Chunks(DESIGN, calendar_mean(DESIGN, rows), PROBLEM)

    cut = chunks.cut(rows, shift)
    live = set()
    for first, last in cut.tolist():
        live |= {row for row in range(first + chunks.burn_in, last + 1) if row in chosen}
    _, _, targets, weights = chunks.rows(cut, chunks.mask(rows))

    assert live == chosen
    assert int(weights.sum()) >= len(chosen)
    found = torch.unique(targets.t()[weights > 0], dim=0)
    expected = torch.unique(torch.tensor(DESIGN.targets[rows], dtype=torch.float32), dim=0)
    torch.testing.assert_close(found, expected)


def test_a_chunk_answers_each_row_as_its_own_window_would():
    """One pass over a chunk gives at every row what a pass over the rows up to it gives."""
    torch.manual_seed(1)
    network = make_network(DESIGN, PROBLEM).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    chunks = _Chunks(DESIGN, calendar_mean(DESIGN, np.arange(10)), PROBLEM)
    inputs, pattern, _, _ = chunks.rows(torch.tensor([[0, 127]]), chunks.mask(np.arange(128)))

    with torch.no_grad():
        center, stretch = network(inputs, chunks.patterns, pattern, chunks.burn_in)
        for row in (40, 77, 127):
            window = torch.from_numpy(DESIGN.inputs[window_rows(DESIGN, np.array([row]), row + 1)]).transpose(0, 1)
            c, s = network(window, chunks.patterns, pattern[row - 40 : row - 39], row)

            torch.testing.assert_close(center[:, row - 40], c[:, 0])
            torch.testing.assert_close(stretch[:, row - 40], s[:, 0])
