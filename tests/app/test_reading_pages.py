"""The pages that read the past: what each says in each state, to whom, and that they hold nothing inline."""

import re
from dataclasses import replace
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from app.api import create_app
from loopcast.stores.actions import ActionKind
from loopcast.stores.audit import Act, AuditEntry
from loopcast.stores.champions import FixedChampions
from loopcast.stores.database import Database
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.tokens import Role
from tests.app.client import Client, signed
from tests.app.past import HTML, make_reader, serve_past
from tests.reading_factory import later, make_past

INLINE = re.compile(r"""\sstyle=|\son[a-z]+=|<style|<script(?![^>]*(?:src=|type="application/json"))|javascript:""")


@pytest.fixture
def name() -> str:
    """A problem that no other test uses."""
    return f"p{uuid4().hex}"


@pytest.fixture
def read(make_parts, prices, database, name):
    """A problem's past, and what asks for a page of it."""
    past, client = make_reader(make_parts, prices, database, name)

    def ask(path: str, status: int = 200, **query) -> str:
        answer = client.get(f"{path}{'&' if '?' in path else '?'}{urlencode({'problem': name} | query)}", headers=HTML)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")
        return " ".join(answer.text.split())

    return past, ask


@pytest.fixture
def rich(read):
    """The same after a year's worth of everything that can happen."""
    past, ask = read
    past.register(2)
    past.register(4, execution_url="javascript:alert(1)", candidate="<b>")
    past.forecast(40, series=("S0", "S1"))
    past.observe(40, series=("S0", "S1"))
    past.roll_up()
    past.decide(DecisionKind.PROMOTION, 2, None, 2)
    past.decide(DecisionKind.PROMOTION, 3, 2, 3)
    past.decide(DecisionKind.REJECTION, 4, 3, 3, reasons=("not better than <i>the champion</i>",))
    past.look(later(-2))
    past.look(later(-1), bias=2.0)
    past.look(later(0), bias=2.0)
    past.alert(later(-1), "skill_lost", "drift", link="javascript:alert(2)")
    past.alert(later(0), "volatility", link="https://reports.example.org")
    past.call_for(ActionKind.RETRAIN, later(0))
    return past, ask


PATHS = ("/track-record", "/track-record?series=*&period=all", "/health", "/models", "/models/4", "/tokens", "/audit")


@pytest.mark.parametrize("path", PATHS)
def test_no_page_holds_anything_inline(rich, path):
    """Names and sentences from elsewhere are escaped, and lead nowhere but by HTTP."""
    _, ask = rich

    page = ask(path)

    assert not INLINE.search(page)
    assert "<i>the champion" not in page


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_one_heading_and_tables_have_names(rich, path):
    """What a screen reader goes by."""
    _, ask = rich

    page = ask(path)

    assert page.count("<h1>") == 1
    assert page.count("<table") == page.count("<caption")
    assert len(set(re.findall(r'\sid="([^"]+)"', page))) == len(re.findall(r'\sid="([^"]+)"', page))


def test_the_track_record_says_what_the_middle_is_worth(rich):
    """Beside the last known value, in numbers; with bands, curves and tables."""
    _, ask = rich

    page = ask("/track-record", series="S1", horizon=1)

    assert "The middle of the forecast was" in page
    assert "Intervals of 80 % held" in page
    assert "S1: forecast 1 business day ahead" in page
    assert page.count('<figure class="chart') == 1 + 2
    assert '<option value="1" selected>1</option>' in page


def test_the_track_record_of_all_series_has_no_chart_of_one(rich):
    """A fan belongs to one series."""
    _, ask = rich

    page = ask("/track-record", series="*")

    assert page.count('<figure class="chart') == 2
    assert '<option value="*" selected>All series</option>' in page


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ((), "Nothing to show for this choice"),
        (("forecast", "observe"), "none has been judged yet"),
        (("forecast", "roll_up"), "Nothing has come true yet"),
        (("train", "forecast", "observe", "roll_up"), "lies in the training data"),
    ],
)
def test_an_empty_track_record_says_why(read, done, said):
    """And what to do about it."""
    past, ask = read
    version = 9 if "train" in done else 3
    acts = {
        "train": lambda: past.register(9, trained_until="2025-01-01"),
        "forecast": lambda: past.forecast(3, version=version),
        "observe": lambda: past.observe(3),
        "roll_up": past.roll_up,
    }
    for each in done:
        acts[each]()

    assert said in ask("/track-record")


def test_health_says_that_all_is_well(read):
    """Where monitoring found nothing, with how near it was."""
    past, ask = read
    past.look(later(0))

    page = ask("/health")

    assert "All is well" in page
    assert "How near to an alarm" in page
    assert "condition open" not in page


def test_health_says_what_is_open_first(rich):
    """Conditions, then what is to be done, then the looks and what happened."""
    _, ask = rich

    page = ask("/health")

    places = [page.index(each) for each in ("1 condition open", "Volatility: S0", "Training is due", "Look by look")]
    assert places == sorted(places)
    assert "All is well" not in page
    assert '<a href="https://reports.example.org" rel="noreferrer">' in page
    assert "Training called for" in page


def test_health_says_that_nobody_looked(read):
    """And how one looks."""
    _, ask = read

    page = ask("/health")

    assert "Nobody has looked yet" in page
    assert "pyflyte run workflows/monitoring.py" in page


def test_more_of_what_happened_is_fetched(read):
    """Thirty at first, the rest as a part of the page."""
    past, ask = read
    for version in range(1, 36):
        past.decide(DecisionKind.REJECTION, version, None, None, decided_at_utc=later(version))
    first = ask("/health")

    (address,) = re.findall(r'hx-get="(/health/events[^"]+)"', first)
    rest = ask(address.replace("&amp;", "&"))

    assert first.count("Not promoted") == 30
    assert rest.count("<li>") == 5
    assert "hx-get" not in rest


def test_models_say_which_is_champion_and_why(rich):
    """With the words of the gate, and acts that say what they will do."""
    _, ask = rich

    page = ask("/models")

    assert re.search(r"Version 3</a>.*?champion.*?Promoted\. It is the first model", page)
    assert "Not promoted: not better than &lt;i&gt;" in page
    assert 'data-opens="promote-4"' in page
    assert 'data-opens="promote-3"' not in page
    assert "Go back to version 2?" in page
    assert page.count('data-then="/queries/{query_id}"') == 4


def test_a_viewer_is_offered_no_acts(make_parts, prices, database, name, store, tokens):
    """They would be refused."""
    past = make_past(database, name)
    champions = FixedChampions({name: serve_past(prices, past)})
    past.decide(DecisionKind.PROMOTION, 3, None, 3)
    past.register(4)
    _, secret = store.create("reader", "anna", Role.VIEWER, ())
    tokens.refresh()
    client = signed(create_app(make_parts(tokens=tokens, champions=champions, database=database)), secret)

    for path in ("/models", "/models/4"):
        page = client.get(path, headers=HTML, params={"problem": name}).text
        assert "data-api" not in page.replace('data-api="POST /sign-out"', "")
        assert "Version 4" in page
    assert client.get("/audit", headers=HTML).status_code == 403


def test_a_version_shows_its_lineage_down_to_the_data(rich):
    """Snapshot, commit, run, execution and weights, and the figures that the gate weighed."""
    _, ask = rich

    page = ask("/models/3")

    for each in (
        "5a5a5a",
        "c0ffee",
        "4f6c",
        "https://flyte.example.org/a1b2c3",
        "ababab",
        "Loss below the random walk",
    ):
        assert each in page
    assert "p &lt; 0.001" in page


@pytest.mark.parametrize("path", ["/models/77", "/models/77?problem=nowhere"])
def test_a_version_that_is_none_is_a_page(make_parts, prices, database, name, path):
    """Not found, in the words of the API."""
    _, client = make_reader(make_parts, prices, database, name)

    answer = client.get(path, headers=HTML)

    assert (answer.status_code, "Not found" in answer.text) == (404, True)


def test_tokens_that_opened_something_once_are_named(parts):
    """Active ones can be revoked, those that ended are told why; what one may not give is not offered."""
    client = Client(create_app(parts), HTML)
    for each in ("dashboards", "nightly"):
        token, _ = parts.token_store.create(each, "local", Role.OPERATOR, ("google",))
    parts.token_store.revoke(token.id)

    page = " ".join(client.get("/tokens").text.split())

    assert "Revoke dashboards?" in page
    assert "Revoke nightly?" not in page
    assert "1 token that opens nothing any more" in page
    assert all(f'<option value="{role}">' in page for role in Role)


def test_the_audit_is_read_page_by_page(parts):
    """The latest first."""
    client = Client(create_app(parts), HTML)
    for k in range(60):
        parts.audit.record(
            AuditEntry(actor_id="ada", actor_name="Ada", act=Act.PROMOTION, subject=f"v{k}", details={"reason": "<b>"})
        )
    first = client.get("/audit").text

    (address,) = re.findall(r'class="button" href="(/audit[^"]+)"', first)
    rest = client.get(address).text

    assert (first.count("<code>v"), rest.count("<code>v")) == (50, 10)
    assert "&lt;b&gt;" in first
    assert "To the latest" in rest


@pytest.mark.parametrize("path", ["/track-record", "/health", "/models", "/models/3"])
def test_a_database_that_is_away_is_a_page_that_says_so(make_parts, path):
    """With the id to give to whoever runs the service."""
    away = Database("postgresql://127.0.0.1:1/forecasts")
    client = Client(create_app(make_parts(database=away)), HTML | {"X-Request-ID": "look-42"})

    answer = client.get(path)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "Not available right now" in answer.text
    assert "look-42" in answer.text
    assert "127.0.0.1" not in answer.text


def test_a_problem_of_many_series_is_asked_for_by_name(make_parts, prices, database, name):
    """A list of a thousand names helps nobody."""
    past = make_past(database, name)
    served = serve_past(prices, past)
    many = replace(served, latest=dict.fromkeys((f"S{k}" for k in range(41)), next(iter(served.latest.values()))))
    client = Client(create_app(make_parts(champions=FixedChampions({name: many}), database=database)), HTML)

    page = client.get("/track-record", params={"problem": name, "series": "*"}).text

    assert '<input id="series" name="series" value=""' in page
