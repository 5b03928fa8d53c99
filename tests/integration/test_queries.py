"""Queries in memory and in PostgreSQL go the same ways; one whose worker died is given to another."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID, uuid4

import psycopg
import pytest
from procrastinate.schema import SchemaManager

from loopcast.queries.kinds import QueryKind
from loopcast.stores.database import Database
from loopcast.stores.queries import KeyReusedError, Queries, TooManyQueriesError, TrainingOpenError
from loopcast.stores.query import Query, QueryEndedError, QueryState
from loopcast.stores.query_memory import MemoryQueryStore
from loopcast.stores.query_store import QueryStore

QUEUED, RUNNING, DONE, FAILED, CANCELLED = QueryState
MANY = 100


@pytest.fixture(params=["memory", "postgresql"])
def queries(request) -> Queries:
    """A store of queries; others test with the same database, each with an owner of their own."""
    return MemoryQueryStore() if request.param == "memory" else QueryStore(request.getfixturevalue("database"))


@pytest.fixture
def store(database: Database) -> QueryStore:
    """The one in PostgreSQL."""
    return QueryStore(database)


@pytest.fixture
def owner() -> str:
    """Somebody who has asked nothing yet."""
    return f"owner {uuid4()}"


def make_query(owner: str, **changes) -> Query:
    """A query that was not sent yet."""
    given = {
        "problem": "google",
        "kind": QueryKind.BACKTEST,
        "owner": owner,
        "request": {"series_id": "GOOG", "since": "2012-01-01"},
        "submitted_at_utc": datetime.now(UTC),
    }
    return Query.model_validate(given | changes)


def submit(queries: Queries, owner: str, **changes) -> Query:
    """A query that waits."""
    return queries.submit(make_query(owner, **changes), MANY)


def test_a_query_comes_back_as_it_was_sent(queries, owner):
    """Queued, with a job that stands for it."""
    query = make_query(owner, idempotency_key="k", retry_of=uuid4())

    kept = queries.submit(query, MANY)

    assert kept == query.model_copy(update={"job_id": kept.job_id})
    assert kept.job_id > 0
    assert queries.find(query.id, owner) == kept
    assert queries.find(query.id, "somebody else") is None
    assert queries.find(uuid4(), owner) is None


def test_a_query_goes_from_queue_to_result(queries, owner):
    """Each step is seen, and each has a revision of its own."""
    sent = submit(queries, owner)
    found = [
        queries.begin(sent.id, sent.job_id),
        queries.move(sent.id, sent.job_id, 0.25, "A quarter"),
        queries.end(sent.id, sent.job_id, DONE, result={"skill": 0.03, "text": "a\0b"}, files=["rows.csv"]),
    ]

    last = queries.find(sent.id, owner)
    assert [(each.state, each.progress_ratio, each.progress, each.revision) for each in found] == [
        (RUNNING, 0.0, "Begins", 1),
        (RUNNING, 0.25, "A quarter", 2),
        (DONE, 1.0, "Done", 3),
    ]
    assert last == found[-1]
    assert (last.result, last.files, last.n_attempts, last.reason) == (
        {"skill": 0.03, "text": "a\0b"},
        ("rows.csv",),
        1,
        "",
    )
    assert last.submitted_at_utc <= last.started_at_utc <= last.ended_at_utc


def test_a_word_that_says_nothing_new_changes_nothing(queries, owner):
    """So listeners are not told again."""
    sent = submit(queries, owner)
    queries.begin(sent.id, sent.job_id)

    first, second = (queries.move(sent.id, sent.job_id, 0.5, "Half") for _ in range(2))

    assert first == second


def test_what_is_told_is_kept_within_bounds(queries, owner):
    """Shares beyond 0 and 1, NULs that PostgreSQL takes not, and pages where a sentence was meant."""
    sent = submit(queries, owner)
    queries.begin(sent.id, sent.job_id)

    moved = queries.move(sent.id, sent.job_id, 7.0, "nul\0")
    ended = queries.end(sent.id, sent.job_id, FAILED, reason="x" * 5000)

    assert (moved.progress_ratio, moved.progress) == (1.0, "nul")
    assert len(ended.reason) == 1000
    assert queries.find(sent.id, owner) == ended


def test_a_worker_with_another_job_changes_nothing(queries, owner):
    """One that was taken for dead, and is not."""
    sent = submit(queries, owner)
    queries.begin(sent.id, sent.job_id)
    given_on = queries.interrupt(sent.id, sent.job_id, "it died", is_counted=True)

    answers = [
        queries.begin(sent.id, sent.job_id),
        queries.move(sent.id, sent.job_id, 0.5, "Half"),
        queries.end(sent.id, sent.job_id, DONE, result={}),
        queries.interrupt(sent.id, sent.job_id, "it died", is_counted=True),
    ]

    assert answers == [None] * 4
    assert queries.find(sent.id, owner) == given_on
    assert queries.begin(sent.id, given_on.job_id).n_attempts == 2


def test_nobody_begins_a_query_twice(queries, owner):
    """However many try at once."""
    sent = submit(queries, owner)

    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda _: queries.begin(sent.id, sent.job_id), range(8)))

    assert sum(each is not None for each in begun) == 1


def test_a_query_is_given_up_after_three_attempts(queries, owner):
    """With the reason of the last one."""
    query = submit(queries, owner)
    states = []
    for _ in range(3):
        queries.begin(query.id, query.job_id)
        query = queries.interrupt(query.id, query.job_id, "its worker died", is_counted=True)
        states.append(query.state)

    assert states == [QUEUED, QUEUED, FAILED]
    assert query.reason == "its worker died; it was tried 3 times"


def test_a_worker_that_was_told_to_stop_costs_no_attempt(queries, owner):
    """However often workers are replaced."""
    query = submit(queries, owner)
    for _ in range(5):
        queries.begin(query.id, query.job_id)
        query = queries.interrupt(query.id, query.job_id, "its worker was stopped", is_counted=False)

    assert (query.state, query.n_attempts) == (QUEUED, 0)


def test_a_query_that_was_to_stop_is_cancelled_when_its_worker_ends(queries, owner):
    """And not begun again."""
    sent = submit(queries, owner)
    queries.begin(sent.id, sent.job_id)
    asked = queries.ask_cancel(sent.id, owner)

    ended = queries.interrupt(sent.id, sent.job_id, "it died", is_counted=True)

    assert (asked.state, asked.is_cancel_asked) == (RUNNING, True)
    assert (ended.state, ended.reason) == (CANCELLED, "stopped by its owner")


def test_only_its_owner_cancels_a_query_and_only_while_it_is_open(queries, owner):
    """Asking twice for a stop is asking once."""
    waiting, running = submit(queries, owner), submit(queries, owner)
    queries.begin(running.id, running.job_id)

    assert queries.ask_cancel(waiting.id, "somebody else") is None
    assert queries.ask_cancel(waiting.id, owner).state is CANCELLED
    assert queries.ask_cancel(running.id, owner) == queries.ask_cancel(running.id, owner)
    with pytest.raises(QueryEndedError, match=r"^the query is cancelled, and nothing of it runs any more; look at"):
        queries.ask_cancel(waiting.id, owner)


def test_one_key_is_one_query_of_an_owner(queries, owner):
    """Another owner's is another; another question is refused."""
    first = submit(queries, owner, idempotency_key="k")

    assert submit(queries, owner, idempotency_key="k") == first
    assert submit(queries, f"{owner}2", idempotency_key="k").id != first.id
    with pytest.raises(KeyReusedError, match=f"^query {first.id} came with this Idempotency-Key and asks something"):
        submit(queries, owner, idempotency_key="k", problem="prices")


def test_ended_queries_make_room_for_others(queries, owner):
    """The limit counts open ones."""
    sent = [queries.submit(make_query(owner), 2) for _ in range(2)]
    with pytest.raises(TooManyQueriesError, match=r"^found 2 of your queries open, needs fewer than 2; wait for one"):
        queries.submit(make_query(owner), 2)
    queries.ask_cancel(sent[0].id, owner)

    assert queries.submit(make_query(owner), 2).state is QUEUED


def test_a_problem_is_trained_once_at_a_time(queries, owner):
    """Whoever asks for the second training; the same key leads to the first, and its end makes room."""
    asked = {"kind": QueryKind.TRAINING, "request": {"reason": "new data"}, "problem": f"problem {owner}"}
    first = submit(queries, owner, asker_name="Ada", idempotency_key="k", **asked)

    with pytest.raises(
        TrainingOpenError, match=r"is being trained already: Ada asked for it at .*, and it is queued; w"
    ):
        submit(queries, f"{owner}2", **asked)
    assert submit(queries, owner, asker_name="Ada's token", idempotency_key="k", **asked) == first
    assert submit(queries, owner, **asked | {"problem": f"another {owner}"}).state is QUEUED
    queries.ask_cancel(first.id, owner)
    assert submit(queries, f"{owner}2", **asked).state is QUEUED


def test_trainings_that_are_asked_for_together_become_one(store, owner):
    """By different people, at the same moment."""
    asked = {"kind": QueryKind.TRAINING, "request": {"reason": "new data"}, "problem": f"problem {owner}"}
    barrier = Barrier(6)

    def ask(number: int) -> bool:
        barrier.wait()
        try:
            return submit(store, f"{owner}{number}", **asked).state is QUEUED
        except TrainingOpenError:
            return False

    with ThreadPoolExecutor(6) as executor:
        taken = list(executor.map(ask, range(6)))

    assert sum(taken) == 1


def test_who_asked_is_kept_by_name(queries, owner):
    """What a query decides says by whom in words that people know; of those from before it says the id."""
    query = submit(queries, owner, asker_name="Ada")

    found = queries.find(query.id, owner)

    assert (found.asker_name, found.actor) == ("Ada", "Ada")
    assert make_query(owner).actor == owner


def test_own_queries_are_listed_the_latest_first(queries, owner):
    """In pages, of some problems or all, without results."""
    sent = [submit(queries, owner, problem=problem) for problem in ("google", "prices", "google")]
    queries.begin(sent[0].id, sent[0].job_id)
    queries.end(sent[0].id, sent[0].job_id, DONE, result={"large": 1})
    submit(queries, "somebody else")

    first = queries.list_own(owner, limit=2)
    rest = queries.list_own(owner, limit=2, before=first[-1].id)

    assert [each.id for each in first + rest] == [each.id for each in reversed(sent)]
    assert rest[0].state is DONE
    assert rest[0].result is None
    assert [each.id for each in queries.list_own(owner, ["google"])] == [sent[2].id, sent[0].id]
    assert queries.list_own(owner, before=uuid4()) == []


def test_changes_are_found_by_revision(queries, owner):
    """Only what is newer than what is known."""
    sent = [submit(queries, owner) for _ in range(2)]
    begun = queries.begin(sent[0].id, sent[0].job_id)

    assert queries.find_changed({each.id: each.revision for each in sent} | {uuid4(): 0}) == [begun]
    assert queries.find_changed({}) == []


def test_the_queue_is_measured(queries, owner):
    """By state, with the age of the oldest that waits."""
    before = queries.measure_queue()
    sent_utc = datetime.now(UTC) - timedelta(days=400)
    waiting, running = submit(queries, owner, submitted_at_utc=sent_utc), submit(queries, owner)
    queries.begin(running.id, running.job_id)

    after = queries.measure_queue()

    more = {state: after.n_by_state[state] - before.n_by_state[state] for state in QueryState}
    assert more == {QUEUED: 1, RUNNING: 1, DONE: 0, FAILED: 0, CANCELLED: 0}
    assert after.oldest_waiting_s == pytest.approx(400 * 86_400, abs=60)
    assert after.n_workers == 0
    queries.ask_cancel(waiting.id, owner)


def test_old_queries_are_forgotten_with_their_files(queries, owner):
    """Counted from their end; open ones never."""
    ended, waiting = submit(queries, owner), submit(queries, owner)
    queries.begin(ended.id, ended.job_id)
    queries.end(ended.id, ended.job_id, DONE, result={})
    deleted: list[UUID] = []

    queries.forget(datetime.now(UTC) - timedelta(hours=1), deleted.append)
    assert queries.find(ended.id, owner) is not None
    queries.forget(datetime.now(UTC) + timedelta(hours=1), deleted.append)

    assert ended.id in deleted
    assert queries.find(ended.id, owner) is None
    assert queries.find(waiting.id, owner) is not None


def test_what_cannot_be_deleted_is_found_again(store, owner):
    """A row goes with its files or not at all."""
    ended = submit(store, owner)
    store.ask_cancel(ended.id, owner)

    def fail(_: UUID) -> None:
        raise OSError

    with pytest.raises(OSError):
        store.forget(datetime.now(UTC) + timedelta(hours=1), fail)

    assert store.find(ended.id, owner) is not None


@pytest.mark.parametrize("state", [QUEUED, RUNNING, DONE])
def test_only_what_failed_or_was_cancelled_is_asked_again(state):
    """What is open is cancelled first, what was answered is asked anew."""
    query = make_query("ada", state=state)

    with pytest.raises(QueryEndedError, match=f"^the query is {state}; needs one that has failed or was cancelled"):
        query.ask_again(datetime.now(UTC))


def test_a_new_query_asks_the_same(owner):
    """And says of which it is the repetition."""
    failed = make_query(owner, state=FAILED)

    again = failed.ask_again(datetime.now(UTC), "k")

    assert (again.request, again.kind, again.problem, again.owner) == (
        failed.request,
        failed.kind,
        failed.problem,
        owner,
    )
    assert (again.retry_of, again.state, again.idempotency_key) == (failed.id, QUEUED, "k")


def set_worker(store: QueryStore, query: Query, ago_s: float | None) -> None:
    """Let a worker have taken a query's job that gave its last sign of life so long ago; None for one struck off."""
    with store.database.connect() as connection:
        connection.execute("SET LOCAL search_path TO procrastinate")
        worker_id = None
        if ago_s is not None:
            [(worker_id,)] = connection.execute(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - %s * interval '1 s') RETURNING id",
                [ago_s],
            )
        connection.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s", [worker_id, query.job_id]
        )


def test_a_dead_workers_query_is_given_to_others(store, owner):
    """A living one's is not; neither is one that waits."""
    dead, struck, alive, waiting = (submit(store, owner) for _ in range(4))
    for query, ago_s in ((dead, 7), (struck, None), (alive, 1)):
        set_worker(store, query, ago_s)
        store.begin(query.id, query.job_id)

    restarted = {query.id: query for query in store.restart_lost() if query.owner == owner}

    assert set(restarted) == {dead.id, struck.id}
    assert {(each.state, each.n_attempts) for each in restarted.values()} == {(QUEUED, 1)}
    assert "ended without a word" in restarted[dead.id].reason
    assert store.begin(dead.id, restarted[dead.id].job_id).n_attempts == 2
    assert store.find(alive.id, owner).state is RUNNING
    assert store.find(waiting.id, owner) == waiting


def test_a_query_that_was_to_stop_when_its_worker_died_is_cancelled(store, owner):
    """It is not begun again first."""
    query = submit(store, owner)
    set_worker(store, query, 7)
    store.begin(query.id, query.job_id)
    store.ask_cancel(query.id, owner)

    [restarted] = [each for each in store.restart_lost() if each.owner == owner]

    assert restarted.state is CANCELLED


def test_a_job_that_was_lost_on_its_way_to_a_living_worker_is_queued_again(store, owner):
    """A worker fetched it long ago and never began; one that has just been fetched is left."""
    lost, fetched = submit(store, owner), submit(store, owner)
    for query in (lost, fetched):
        set_worker(store, query, 0)
    with store.database.connect() as connection:
        connection.execute(
            "UPDATE procrastinate.procrastinate_events SET at = now() - interval '1 min' WHERE job_id = %s",
            [lost.job_id],
        )

    [restarted] = [each for each in store.restart_lost() if each.owner == owner]

    assert (restarted.id, restarted.state, restarted.n_attempts) == (lost.id, QUEUED, 0)
    assert restarted.job_id > lost.job_id


def test_a_query_whose_job_is_gone_is_queued_again(store, owner):
    """As after a restored backup of one table, or a queue that somebody emptied."""
    query = submit(store, owner)
    with store.database.connect() as connection:
        connection.execute("SET LOCAL search_path TO procrastinate")
        connection.execute("DELETE FROM procrastinate_jobs WHERE id = %s", [query.job_id])

    [restarted] = [each for each in store.restart_lost() if each.owner == owner]

    assert store.begin(query.id, restarted.job_id) is not None


def test_looks_that_meet_restart_a_query_once(store, owner):
    """Each worker looks."""
    query = submit(store, owner)
    set_worker(store, query, 7)
    store.begin(query.id, query.job_id)

    with ThreadPoolExecutor(4) as pool:
        found = [each for looked in pool.map(lambda _: store.restart_lost(), range(8)) for each in looked]

    assert sum(each.id == query.id for each in found) == 1


def test_a_query_and_its_job_are_written_together(store, owner):
    """Where one cannot be, the other is not: a worker would come to nothing, or nobody to the query."""

    def count_jobs() -> int:
        with store.database.connect() as connection:
            [(n,)] = connection.execute("SELECT count(*) FROM procrastinate.procrastinate_jobs")
            return n

    first = submit(store, owner)
    n_before = count_jobs()

    with pytest.raises(psycopg.errors.UniqueViolation):
        store.submit(make_query(owner, id=first.id), MANY)

    assert count_jobs() == n_before


CATALOG = """
    SELECT jsonb_build_object(
        'columns', (SELECT jsonb_agg(jsonb_build_array(table_name, column_name, data_type, column_default, is_nullable)
            ORDER BY table_name, column_name) FROM information_schema.columns WHERE table_schema = %(s)s),
        'indexes', (SELECT jsonb_agg(indexdef ORDER BY indexdef) FROM pg_indexes WHERE schemaname = %(s)s),
        'functions', (SELECT jsonb_agg(pg_get_functiondef(oid) ORDER BY oid::regprocedure::text)
            FROM pg_proc WHERE pronamespace = %(s)s::regnamespace),
        'triggers', (SELECT jsonb_agg(pg_get_triggerdef(t.oid) ORDER BY t.tgname) FROM pg_trigger t
            JOIN pg_class c ON c.oid = tgrelid WHERE c.relnamespace = %(s)s::regnamespace AND NOT tgisinternal),
        'enums', (SELECT jsonb_agg(jsonb_build_array(typname, enumlabel) ORDER BY typname, enumsortorder)
            FROM pg_enum JOIN pg_type t ON t.oid = enumtypid WHERE t.typnamespace = %(s)s::regnamespace),
        'checks', (SELECT jsonb_agg(pg_get_constraintdef(oid) ORDER BY conname, conrelid::regclass::text)
            FROM pg_constraint WHERE connamespace = %(s)s::regnamespace)
    )
"""


def test_the_queues_tables_are_those_of_the_installed_procrastinate(database):
    """Where this fails, procrastinate was upgraded, and a revision must bring its tables after it."""
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA installed; SET LOCAL search_path TO installed")
        connection.execute(SchemaManager.get_schema())
        [(installed,)] = connection.execute(CATALOG, {"s": "installed"})
        connection.execute("SET LOCAL search_path TO procrastinate")
        [(ours,)] = connection.execute(CATALOG, {"s": "procrastinate"})
        connection.execute("DROP SCHEMA installed CASCADE")

    assert json.loads(json.dumps(installed).replace("installed.", "procrastinate.")) == ours
    assert len(ours["functions"]) > 15
