"""Long queries answered from real stores: the champion, its newest history, uploads, and decisions about versions."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest

from app.queries.answered import Answered
from app.queries.answering import answer_query
from loopcast.errors import DataRefusedError, LoopcastError, OutdatedError
from loopcast.queries.kinds import QueryCancelledError, QueryKind, Report
from loopcast.settings import Settings
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.champion_cache import open_cache
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.opened import Stores
from loopcast.stores.promotion import promote_by_hand
from loopcast.stores.query import Query
from loopcast.stores.uploads import Upload
from tests.integration.models import LINEAGE, prefer_higher, register_model
from tests.networks import save_network
from tests.panels import make_panel_problem
from tests.queried import PRICED, hear_nothing, make_priced_panel

UNTIL = datetime(2016, 2, 26, tzinfo=UTC)
Ask = Callable[..., Answered]


@pytest.fixture(scope="module")
def stores(shared_home: Path) -> Stores:
    """Of the tests' machine."""
    return Stores(Settings(home=shared_home))


@pytest.fixture(scope="module")
def served(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A problem whose champion is a network, with a newest snapshot that is longer than the one it was trained on."""
    problem, panel = make_panel_problem(name="answered", columns=PRICED), make_priced_panel()
    trained_on = panel[panel["timestamp_utc"] <= UNTIL]
    folder = tmp_path_factory.mktemp("network") / "forecaster"
    save_network(folder, trained_on, problem)
    sha256 = stores.artifacts.put_snapshot(panel)
    record_snapshot(stores.database, problem.name, sha256, stores.artifacts.snapshot_url(sha256), panel)
    run = stores.registry.start_run(problem, replace(LINEAGE, snapshot_sha256=sha256))
    version = stores.registry.register(run, folder, trained_on, UNTIL)
    run.finish()
    promote_by_hand(stores.registry, problem.name, version.version, "the first", "ada")
    return problem.name


@pytest.fixture
def ask(stores: Stores) -> Ask:
    """Answers a query of ada's as a worker does."""

    def answer(kind: QueryKind, problem: str, report: Report = hear_nothing, **request: Any) -> Answered:
        return answer_query(stores, make_query(kind, problem, **request), report)

    return answer


def make_query(kind: QueryKind, problem: str, **request: Any) -> Query:
    """A query of Ada's at its first attempt."""
    now_utc = datetime.now(UTC)
    query = Query(
        problem=problem, kind=kind, owner="id#ada", asker_name="Ada", request=request, submitted_at_utc=now_utc
    )
    return query.begin(now_utc)


def take_over(query: Query) -> Query:
    """The same query at its next attempt, after its worker was stopped."""
    now_utc = datetime.now(UTC)
    return query.interrupt("its worker was stopped", now_utc, is_counted=False).begin(now_utc)


def upload(stores: Stores, owner: str, content: bytes) -> Upload:
    """A file that somebody uploaded."""
    kept = Upload(owner=owner, n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    stores.uploads.keep(kept, BytesIO(content), max_bytes=10**9)
    return kept


@pytest.mark.parametrize(
    ("kind", "request_", "files"),
    [
        (QueryKind.EXPLANATION, {"series_id": "S1"}, set()),
        (QueryKind.BACKTEST, {"series_id": "S1"}, {"forecasts.csv"}),
        (
            QueryKind.WHAT_IF,
            {
                "series_id": "S1",
                "changes": [{"column": "volume", "operation": "multiply", "value": 2, "last_n_steps": 5}],
            },
            set(),
        ),
    ],
)
def test_each_question_is_answered_from_the_champion_in_service(ask, served, kind, request_, files):
    """With its files, in JSON that is small, and with a way that only goes forwards."""
    told = []

    found = ask(kind, served, lambda ratio, sentence: told.append((ratio, sentence)), **request_)

    result = orjson.loads(orjson.dumps(dict(found.result)))
    assert (result["series_id"], result["model_version"]) == ("S1", 1)
    assert len(orjson.dumps(result)) < 100_000
    assert set(found.files) == files
    assert all(path.is_file() for path in found.files.values())
    assert [ratio for ratio, _ in told] == sorted(ratio for ratio, _ in told)
    assert told[0] == (0.0, "Opening the champion")


def test_a_backtest_reads_the_newest_history_and_knows_what_the_version_was_trained_on(ask, served):
    """What came after the training is evidence."""
    found = ask(QueryKind.BACKTEST, served, series_id="S0")

    seen, unseen = found.result["stretches"]
    assert (seen["is_evidence"], unseen["is_evidence"]) == (False, True)
    assert found.result["trained_until_utc"] == "2016-02-26T00:00:00Z"
    assert unseen["last_origin_utc"] == "2016-12-02T00:00:00Z"


def test_an_upload_is_forecast_for_its_owner_alone(ask, stores, served):
    """To others it does not exist."""
    days = pd.bdate_range("2016-01-04", periods=100).strftime("%Y-%m-%d")
    rows = [f"X,{day},{99 + k % 3},103,97,{100 + k % 3},{100 + k % 3},5" for k, day in enumerate(days)]
    content = "\n".join(["name,day,open,high,low,close,price,volume", *rows]).encode()
    mine, theirs = upload(stores, "id#ada", content), upload(stores, "eve", content)

    found = ask(QueryKind.BULK_FORECAST, served, upload_id=str(mine.id))

    made = pd.read_csv(found.files["forecasts.csv"])
    assert (found.result["n_rows"], found.result["n_forecast"]) == (100, 1)
    assert made["series_id"].tolist() == ["X"] * 3
    assert made["q_0.5"].between(90, 110).all()
    with pytest.raises(DataRefusedError, match=f"found no upload {theirs.id}; it may have been deleted"):
        ask(QueryKind.BULK_FORECAST, served, upload_id=str(theirs.id))


def test_an_upload_whose_bytes_were_changed_is_not_forecast(ask, stores, served):
    """Nobody is told what follows from numbers that are not theirs."""
    mine = upload(stores, "id#ada", b"name,day,price\nX,2016-01-04,100\n")
    stores.files.put(f"uploads/{mine.id}", BytesIO(b"name,day,price\nX,2016-01-04,900\n"))

    with pytest.raises(DataRefusedError, match=f"^upload {mine.id}: found other bytes than were uploaded; upload the"):
        ask(QueryKind.BULK_FORECAST, served, upload_id=str(mine.id))


def test_a_damaged_version_on_this_disk_is_fetched_anew(ask, stores, served):
    """From the registry, which has it whole."""
    ask(QueryKind.WHAT_IF, served, series_id="S1", changes=[_double("volume")])
    [weights] = open_cache(stores.settings).find(served, 1).forecaster.glob("weights.*")
    weights.write_bytes(weights.read_bytes()[:-8])

    found = ask(QueryKind.WHAT_IF, served, series_id="S1", changes=[_double("volume")])

    assert found.result["model_version"] == 1


def test_a_problem_without_a_champion_has_no_answers(ask):
    """Nor a configuration that could be trained again."""
    with pytest.raises(LoopcastError, match=r"^nobody has no champion; train one and let it be promoted"):
        ask(QueryKind.BACKTEST, "nobody", series_id="S1")
    with pytest.raises(LoopcastError, match=r"^nobody has no champion whose configuration could be trained"):
        ask(QueryKind.TRAINING, "nobody", reason="a first one")


def test_a_stop_is_noticed_while_the_champion_is_opened(ask, served):
    """At the first word."""

    def stop(_ratio, _sentence):
        raise QueryCancelledError("stopped")

    with pytest.raises(QueryCancelledError):
        ask(QueryKind.BACKTEST, served, stop, series_id="S1")


def test_a_person_puts_a_version_into_service_by_hand(ask, stores, name):
    """Without the gate, under the lock, as a decision with who and why; again changes nothing, and says so."""
    register_model(stores.registry, name)
    register_model(stores.registry, name)
    ask(QueryKind.PROMOTION, name, version=2, reason="the first one")

    done = ask(QueryKind.PROMOTION, name, version=1, reason="the other is off")
    again = ask(QueryKind.PROMOTION, name, version=1, reason="once more")

    history = stores.decisions.history(name)
    assert done.result["sentence"] == "Version 1 is in service in the place of 2"
    assert again.result["sentence"].startswith("Version 1 was in service already, since ")
    assert again.result["decision"] == done.result["decision"]
    assert stores.registry.champion(name).version == 1
    assert [(each.kind, each.model_version, each.rule, each.reasons, each.actor) for each in history] == [
        (DecisionKind.PROMOTION, "1", "by_hand", ("the other is off",), "Ada"),
        (DecisionKind.PROMOTION, "2", "by_hand", ("the first one",), "Ada"),
    ]


def test_a_version_that_was_taken_back_can_be_put_back_by_a_person(ask, stores, name):
    """And is judged by the gate as any other from then on."""
    from loopcast.stores.promotion import demote, promote

    for _ in range(2):
        register_model(stores.registry, name)
    promote(stores.registry, name, 1, prefer_higher(1), actor="gate")
    ask(QueryKind.PROMOTION, name, version=2, reason="a try")
    demote(stores.registry, name, "it was off", "bob")

    done = ask(QueryKind.PROMOTION, name, version=2, reason="it was not")

    assert done.result["sentence"] == "Version 2 is in service in the place of 1"
    assert promote(stores.registry, name, 2, prefer_higher(2), actor="gate").rule == "by_hand"


def test_a_version_that_does_not_exist_is_named(ask, stores, name):
    """With those that do."""
    register_model(stores.registry, name)

    with pytest.raises(LoopcastError, match=f"^{name} has no version 7; needs one of 1$"):
        ask(QueryKind.PROMOTION, name, version=7, reason="a guess")


def test_a_rollback_goes_back_once(ask, stores, name):
    """To the version before; what an earlier attempt at the same query did is not done again."""
    for number in range(1, 4):
        register_model(stores.registry, name)
        ask(QueryKind.PROMOTION, name, version=number, reason="a try")
    query = make_query(QueryKind.ROLLBACK, name, reason="off")

    first = answer_query(stores, query, hear_nothing)
    second = answer_query(stores, take_over(query), hear_nothing)

    assert first.result["sentence"] == "Version 2 is in service in the place of 3"
    assert second.result == first.result
    assert stores.registry.champion(name).version == 2


def test_a_rollback_is_known_again_by_a_worker_whose_clock_is_behind(ask, stores, name):
    """It may decide before it was asked, as the clocks have it."""
    for number in range(1, 4):
        register_model(stores.registry, name)
        ask(QueryKind.PROMOTION, name, version=number, reason="a try")
    query = make_query(QueryKind.ROLLBACK, name, reason="off")
    ahead = query.model_copy(update={"submitted_at_utc": query.submitted_at_utc + timedelta(minutes=2)})

    first = answer_query(stores, ahead, hear_nothing)

    assert answer_query(stores, take_over(ahead), hear_nothing).result == first.result
    assert stores.registry.champion(name).version == 2


def test_a_rollback_of_a_champion_that_is_in_service_no_longer_changes_nothing(ask, stores, name):
    """Somebody else was first: the sentence says which version is in service."""
    for number in (1, 2):
        register_model(stores.registry, name)
        ask(QueryKind.PROMOTION, name, version=number, reason="a try")

    with pytest.raises(OutdatedError, match="version 2 is in service by now, not 1; nothing was changed"):
        ask(QueryKind.ROLLBACK, name, reason="off", from_version=1)
    ask(QueryKind.ROLLBACK, name, reason="off", from_version=2)
    with pytest.raises(OutdatedError, match="version 1 replaced no other version"):
        ask(QueryKind.ROLLBACK, name, reason="off again")


def _double(column: str) -> dict[str, Any]:
    return {"column": column, "operation": "multiply", "value": 2.0, "last_n_steps": 5}
