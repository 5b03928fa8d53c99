"""What is said and drawn of a training."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from loopcast.evidence.account import Account
from loopcast.evidence.comparison import Comparison
from loopcast.evidence.formats import format_time, name_steps
from loopcast.evidence.gate import Rule, Verdict
from loopcast.evidence.ink import ROLES, write_svg
from loopcast.evidence.plots import draw_explanation, draw_fan
from loopcast.evidence.report import render_html
from loopcast.evidence.wording import summarize, tell
from loopcast.sections.data import Columns, Source
from loopcast.stores.reports import write_report
from tests.account_factory import make_account, make_problem

VOID = {"meta", "br"}


class Outline(HTMLParser):
    """The nesting of a page: what was left open, what refers elsewhere, and the attributes of each element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that closes itself."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        assert self.open.pop() == tag

    def find(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def account() -> Account:
    """A promoted LSTM on a daily price."""
    return make_account()


@pytest.fixture(scope="module")
def page(account: Account) -> str:
    """Its report."""
    return render_html(account)


def with_offer(account: Account, *, verdict: Verdict | None = None, **figures: object) -> Account:
    """The account with some figures of the offered candidate's score replaced."""
    candidates = tuple(
        each.model_copy(update={"score": each.score.model_copy(update=figures)})
        if each.name == account.offered
        else each
        for each in account.candidates
    )
    return replace(account, candidates=candidates, verdict=verdict or account.verdict)


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    """It is mailed, archived and read without a network."""
    outline = Outline(page)

    assert outline.open == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in outline.elements}
    assert not re.search(r"""(src|href)=["'](?!#)|url\((?!#)|@import""", page)


def test_the_page_can_be_read_by_those_who_cannot_see_it(page: str) -> None:
    """Each drawing has words, each table says what its cells belong to."""
    outline = Outline(page)

    drawings = [attributes for attributes in outline.find("div") if attributes.get("role") == "img"]
    assert len(drawings) == len(outline.find("svg")) == 6
    assert all(attributes["aria-label"] for attributes in drawings)
    assert all(attributes.get("scope") for attributes in outline.find("th"))
    assert outline.find("html") == [{"lang": "en"}]


def test_every_identifier_of_the_page_is_unique_or_the_same_shape(page: str) -> None:
    """Two drawings on one page must not clip or mark each other's lines with other shapes."""
    shapes: dict[str, set[str]] = {}
    for kind, name, body in re.findall(r'<(clipPath|path) id="(\w+)"(.*?)/>', page, flags=re.DOTALL):
        shapes.setdefault(name, set()).add(kind + body)

    assert shapes
    assert all(len(bodies) == 1 for bodies in shapes.values())


def test_the_page_tells_of_every_candidate_and_of_its_origin(account: Account, page: str) -> None:
    """Baselines stay in sight, and the way back to data and code."""
    for text in ("Random walk", "Historical simulation", "EWMA", "GARCH(1,1)-t", "HAR regression", "Linear head",
                 "Residual LSTM", account.snapshot.sha256, "9f2c1d7", "local-2026-01-05", "torch 2.13.0"):  # fmt: skip
        assert text in page


def test_drawings_follow_the_colours_of_the_page(account: Account) -> None:
    """A colour that is no variable would stay dark on dark."""
    svg = write_svg(draw_fan(account))

    left = re.sub(r"var\(--\w+, #[0-9a-f]{6}\)", "", svg)
    assert re.findall(r"#[0-9a-f]{6}\b", left) == []
    assert all(f"var(--{role}" in svg for role in ("ink", "muted", "grid", "accent"))
    assert len(set(ROLES.values())) == len(ROLES)


def test_the_same_account_gives_the_same_bytes(account: Account) -> None:
    """Writing twice leaves the same state."""
    assert write_svg(draw_fan(account)) == write_svg(draw_fan(account))


def test_texts_from_outside_are_text(account: Account) -> None:
    """A title, a unit, a note or a feature with markup neither breaks the page nor runs."""
    evil = "<script>alert(1)</script> & $x$ $y"
    problem = make_problem(title=evil, unit=evil)
    explanation = pd.DataFrame({"feature": [evil], "lag_bucket": ["0"], "importance": [1.0]})
    notes = account.snapshot.model_copy(update={"notes": (evil,)})

    outline = Outline(
        render_html(
            replace(account, problem=problem, series_id=evil, explanation=explanation, snapshot=notes,
                    lineage={evil: evil})
        )
    )  # fmt: skip

    assert outline.open == []
    assert outline.find("script") == []


def test_what_did_not_happen_is_left_out(account: Account) -> None:
    """No gate, no epochs, no explanation, no tested origins, no notes, no baseline to compare with."""
    bare = replace(
        account,
        verdict=None, explanation=None, learning_curves=account.learning_curves.iloc[:0], track=account.track.iloc[:0],
        snapshot=account.snapshot.model_copy(update={"notes": ()}),
        candidates=tuple(each.model_copy(update={"vs_ewma": None, "vs_garch": None}) for each in account.candidates),
    )  # fmt: skip

    page = render_html(bare)

    assert "not judged yet" in page
    assert "The gate has not been asked yet." in page
    assert "What was learned" not in page
    assert len(Outline(page).find("svg")) == 3


def test_hourly_problems_in_other_units_are_told_in_them() -> None:
    """Losses in the target's unit, and clock times in the problem's zone."""
    problem = make_problem(
        name="sea", title="Sea", unit="°C", frequency="h", transform="none", horizon=12, time_zone="Europe/Zurich",
        columns=Columns(timestamp="t", target="y"), source=Source(uri="sample://sea"),
    )  # fmt: skip
    account = make_account(problem, n_dates=300)

    text = summarize(account)

    assert "°C  vs EWMA" in text
    assert re.search(r"for \d{4}-\d\d-\d\d \d\d:\d\d: median \d\.\d+ °C", text)
    assert "12 hours ahead" in render_html(account)


def test_a_single_step_and_a_single_series_are_drawn() -> None:
    """The smallest problem is a problem."""
    account = make_account(make_problem(horizon=1), n_dates=60)

    page = render_html(replace(account, snapshot=account.snapshot.model_copy(update={"n_series": 1})))

    assert "1 business day ahead" in page
    assert "of one series" in page


def test_the_terminal_shows_the_best_candidate_first_in_aligned_columns(account: Account) -> None:
    """A person finds the offered one by its mark."""
    table = summarize(account).split("\n\n")[1].splitlines()

    assert table[1].startswith("Residual LSTM *")
    assert len({len(line) for line in table[:8]}) == 1


def test_an_offer_other_than_the_lstm_is_named_as_such() -> None:
    """The network gets no credit for what a line did better."""
    first = tell(make_account(offered="linear"))[0]

    assert first.startswith(
        "The linear head is offered for promotion, not the LSTM: over 600 out-of-sample dates of one series its pinball"
    )


def test_the_offer_counts_the_series_that_were_scored() -> None:
    """Pooled ones count in the loss too, though only one is drawn."""
    first = tell(make_account(n_series=4))[0]

    assert "over 600 out-of-sample dates of 4 series its pinball loss is " in first


@pytest.mark.parametrize(
    ("gain", "t", "p", "words"),
    [
        (0.018, 6.1, 0.0, "That is 1.8 % below EWMA (t = 6.1) and"),
        (0.002, 0.4, 0.34, "That is 0.2 % below EWMA (t = 0.4, within chance) and"),
        (-0.01, -3.0, 0.99, "That is 1.0 % above EWMA (t = -3.0) and"),
    ],
)
def test_skill_is_told_with_its_certainty(account: Account, gain: float, t: float, p: float, words: str) -> None:
    """A gain within chance is called so, a loss is called a loss."""
    result = Comparison(gain_ratio=gain, t_statistic=t, p_value=p, n_dates=600)
    candidates = tuple(each.model_copy(update={"vs_ewma": result}) for each in account.candidates)

    assert tell(replace(account, candidates=candidates))[1].startswith(words)


@pytest.mark.parametrize(
    ("figures", "position", "words"),
    [
        ({"mae_ratio": 1.0}, 3, "As a point forecast it does not beat saying that nothing changes"),
        ({"mae_ratio": 0.9}, 3, "As a point forecast its mean absolute error is 10.0 % below"),
        ({"mae_ratio": float("nan")}, 3, "The series did not move"),
        ({"rise_ratio": 1.0, "direction_ratio": 0.52, "direction_se": 0.02}, 4, "always calls a rise, right in 52.0 %"),
        (
            {"rise_ratio": 0.5, "direction_ratio": 0.52, "direction_se": 0.02},
            4,
            "52.0 % of directions right, give or take 2.0: no better",
        ),
        ({"rise_ratio": 0.5, "direction_ratio": 0.56, "direction_se": 0.02}, 4, "give or take 2.0: better than a coin"),
        ({"direction_ratio": float("nan")}, 4, "Its median never moves"),
    ],
)  # fmt: skip
def test_limits_are_told(account: Account, figures: dict[str, float], position: int, words: str) -> None:
    """Whoever reads the account does not take intervals for a crystal ball."""
    assert words in tell(with_offer(account, **figures))[position]


def test_an_interval_that_does_not_hold_is_told(account: Account) -> None:
    """With how far it may be off."""
    off = account.offer.score.interval_80.model_copy(update={"coverage_ratio": 0.7})

    assert "the 80 % interval is off by more than 3 points" in tell(with_offer(account, interval_80=off))[2]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (
            Verdict(is_promoted=False, rule=Rule.FIRST_MODEL, reasons=("not better", "no dates"), figures={}),
            "The gate did not promote it: not better. No dates.",
        ),
        (
            Verdict(
                is_promoted=True, rule=Rule.BETTER_THAN_CHAMPION, reasons=(),
                figures={"gain_vs_champion_ratio": 0.012, "p_vs_champion": 0.01},
            ),
            "The gate promoted it: 1.2 % better than the champion before it (p = 0.010).",
        ),
        (
            Verdict(is_promoted=True, rule=Rule.OTHER_QUESTION, reasons=(), figures={}),
            "The gate promoted it: the champion answers another question (horizon, quantiles, target or the like), so "
            "it is judged as a first model, and it is better than the naive baselines.",
        ),
        (
            Verdict(is_promoted=True, rule=Rule.NOT_WORSE_THAN_STALE_CHAMPION, reasons=(), figures={}),
            "The gate promoted it: not worse than the champion before it, whose data are old or whose coverage is off.",
        ),
    ],
)  # fmt: skip
def test_the_decision_is_told_with_its_reasons(account: Account, verdict: Verdict, words: str) -> None:
    """In the sentences of the gate itself."""
    assert words in tell(with_offer(account, verdict=verdict))


def test_an_explanation_that_is_missing_is_not_drawn(account: Account) -> None:
    """An empty heat map would say that nothing matters."""
    with pytest.raises(ValueError, match="no explanation"):
        draw_explanation(replace(account, explanation=None))


def test_times_are_told_in_the_zone_of_the_problem() -> None:
    """A New York close is on its own day, not on the next one of UTC."""
    time = datetime(2013, 3, 2, 1, tzinfo=UTC)

    assert format_time(make_problem(), time) == "2013-03-01"
    assert format_time(make_problem(frequency="15min"), time) == "2013-03-01 20:00"


@pytest.mark.parametrize(
    ("frequency", "n", "words"), [("B", 5, "5 business days"), ("h", 1, "1 hour"), ("15min", 8, "8 steps of 15min")]
)
def test_steps_are_told_as_people_say_them(frequency: str, n: int, words: str) -> None:
    """A pandas alias is no word."""
    assert name_steps(make_problem(frequency=frequency), n) == words


def test_page_and_picture_are_written_and_replaced(account: Account, tmp_path: Path) -> None:
    """The folder keeps the last training's, under names that do not change."""
    folder = tmp_path / "reports" / "google"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("of an earlier training")

    paths = write_report(account, folder)

    assert sorted(path.name for path in folder.iterdir()) == ["forecast.png", "report.html"]
    assert paths.page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert paths.picture.read_bytes().startswith(b"\x89PNG")
