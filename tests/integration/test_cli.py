"""What the `loopcast` command answers an operator: sentences, whatever was typed, and never a traceback."""

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
import yaml

from loopcast.settings import Settings
from loopcast.stores.actuals import ActualStore
from loopcast.stores.database import Database, open_database
from loopcast.stores.decisions import Decision, DecisionKind, DecisionStore
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.model_versions import ModelVersionStore
from loopcast.stores.promotion import promote
from loopcast.stores.stored_forecast import ForecastLineage
from loopcast.stores.tokens import TokenStore
from tests.forecast_factory import make_stored
from tests.integration.models import prefer_higher, register_model
from tests.integration.versions import make_version

ROOT = Path(__file__).parents[2]
LOOPCAST = Path(sys.executable).with_name("loopcast")


def run(home: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A command in a work folder, from the root of the checkout."""
    machine = os.environ | {"LOOPCAST_HOME": str(home), "PYTHONWARNINGS": "ignore"} | environment
    return subprocess.run(
        [str(LOOPCAST), *arguments], cwd=ROOT, env=machine, capture_output=True, text=True, check=False, timeout=120
    )


def refuse(home: Path, *arguments: str, **environment: str) -> str:
    """The one sentence with which a command is refused."""
    answer = run(home, *arguments, **environment)
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1), answer.stderr
    return answer.stderr.strip()


def decide(database: Database, problem: str) -> None:
    """Let a problem be known, because something was decided about a model of it."""
    decision = Decision(
        problem=problem, kind=DecisionKind.REJECTION, model_version="1", champion_before=None, champion_after=None,
        rule="better_than_baselines", reasons=("not better",), figures={}, actor="ada",
    )  # fmt: skip
    DecisionStore(database).record(decision)


@pytest.fixture
def write(tmp_path):
    """Write the problem of Google's stock with some keys changed, and return its path."""

    def write_problem(**changes):
        keys = yaml.safe_load((ROOT / "configs" / "google.yaml").read_text())
        path = tmp_path / "problem.yaml"
        path.write_text(yaml.safe_dump(keys | changes))
        return str(path)

    return write_problem


@pytest.fixture(scope="module")
def promoted(registry):
    """A problem with two versions, of which the first is in service."""
    name = "operated"
    first, _ = register_model(registry, name), register_model(registry, name)
    promote(registry, name, first.version, prefer_higher(first.version), actor="ada")
    return name


def test_check_tells_what_a_training_would_take(tmp_path):
    """It imports no torch, writes nothing, and needs no server."""
    answer = run(tmp_path / "home", "check", "configs/google.yaml", PYTHONPROFILEIMPORTTIME="1")

    imported = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip().endswith("6,588 origins to test in 13 folds; ready to train")
    assert "pandas" in imported
    assert imported.isdisjoint({"torch", "mlflow", "evidently", "psycopg"})
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"horizn": 5}, "`horizn` is not a key here; did you mean `horizon`?"),
        ({"columns": {"timestamp": "day", "target": "adj_close", "series_id": "ticker"}}, "no column `day`"),
        ({"source": {"uri": "nowhere.csv"}}, "nowhere.csv: nothing found there"),
        ({"forecast_series": ["NOPE"]}, "forecast_series names NOPE, which the source lacks"),
        ({"backtest": {"min_history_steps": 9999}}, "no series has 9999 steps before a tested block"),
        ({"backtest": {"initial_steps": 9999}}, "needs more than 10004 for one fold of the backtest"),
        ({"training": {"validation_steps": 2200}}, "lower backtest.initial_steps or training.validation_steps"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, dict) else "",
)
def test_check_refuses_what_a_training_would_refuse(tmp_path, write, changes, sentence):
    """Before anything is trained, also where it is a fold of the backtest that would lack data."""
    assert sentence in refuse(tmp_path, "check", write(**changes))


def test_check_tells_when_no_model_could_be_promoted(tmp_path, write):
    """Data that train may still hold too few dates for the gate; the other dates are those of the problem's zone."""
    answer = run(tmp_path / "home", "check", write(gate={"min_dates": 9999}, time_zone="Europe/Zurich"))

    assert answer.returncode == 0, answer.stderr
    assert (
        "- 1647 dates to test, needs gate.min_dates = 9999 to promote a model; widen the source, or lower "
        "gate.min_dates, or start earlier by backtest.initial_steps"
    ) in answer.stdout
    assert "from 2000-03-01 to 2013-03-01" in answer.stdout


def test_check_tells_when_coverage_could_never_be_judged(tmp_path, write):
    """A window that is shorter than what a judgement takes would watch coverage without ever a word."""
    answer = run(tmp_path / "home", "check", write(monitoring={"window_steps": 20}))

    assert answer.returncode == 0, answer.stderr
    assert (
        "- monitoring.window_steps = 20 holds 20 days at most, needs monitoring.min_judged = 30 to judge coverage; "
        "raise the one, or lower the other"
    ) in answer.stdout


@pytest.mark.parametrize("arguments", [("check", "configs/google.yaml"), ("versions", "google"), ("migrate",)])
def test_a_bad_variable_of_the_environment_is_one_sentence(tmp_path, arguments):
    """Whichever command meets it."""
    sentence = refuse(tmp_path, *arguments, LOOPCAST_SEED_PROCESSES="two")

    assert sentence == "loopcast: LOOPCAST_SEED_PROCESSES: found 'two', needs a whole number; correct or unset it"


def test_versions_mark_the_champion(shared_home, promoted):
    """The latest first, one line each."""
    latest, first = run(shared_home, "versions", promoted).stdout.splitlines()

    assert latest.startswith("   2  har")
    assert first.startswith("   1  har")
    assert (latest.endswith(" champion"), first.endswith(" champion")) == (False, True)


def test_history_tells_who_decided_what(shared_home, promoted):
    """By which rule, and which version was champion before and after."""
    (line,) = run(shared_home, "history", promoted).stdout.splitlines()

    assert "promotion  version 1    champion - -> 1" in line
    assert line.endswith("by ada, rule better_than_champion")


@pytest.mark.parametrize("command", ["versions", "history"])
def test_a_name_that_nobody_knows_is_answered_with_those_that_are_known(shared_home, promoted, command):
    """An empty answer would leave the reader in doubt."""
    sentence = refuse(shared_home, command, "nosuch")

    assert sentence.startswith("loopcast: nosuch has no ")
    assert promoted in sentence.partition("known: ")[2].split(", ")


def test_a_work_folder_without_models_says_how_to_make_one(home):
    """Where nothing is known there is nothing to list."""
    open_database(Settings(home=home))

    assert refuse(home, "history", "google") == (
        "loopcast: google has no decisions; nothing was trained here yet; `make demo` does"
    )


def test_a_demotion_without_a_champion_is_one_sentence(shared_home, name):
    """It says what must come first."""
    assert refuse(shared_home, "demote", name, "--reason", "it lost its skill") == (
        f"loopcast: {name} has no champion; promote a version first"
    )


@pytest.fixture
def forecast(database, name):
    """The id of one stored forecast of a problem of that name, by a version that is known, with the first actual."""
    forecasts = make_stored(
        problem=name,
        origin_value=np.array([1234.5]),
        quantiles=np.array([[[1200.0, 1235.25, 1270.0], [1190.0, 1236.0, 1280.0]]]),
    )
    ForecastStore(database).write(forecasts)
    ModelVersionStore(database).record(make_version(problem=name))
    steps = {"series_id": "GOOG", "timestamp_utc": pd.to_datetime(["2024-03-08"], utc=True), "target": 1250.125}
    ActualStore(database).record(name, pd.DataFrame(steps).assign(is_filled=False))
    return UUID(bytes=forecasts.ids[0].tobytes())


def test_stored_forecasts_are_shown_beside_what_came_true(shared_home, name, forecast):
    """The 80 % interval, the median and the actual of each step."""
    assert run(shared_home, "forecasts", name, "--series", "GOOG").stdout.splitlines() == [
        f"GOOG  from 2024-03-07 00:00 UTC at 1,234.5, by version 3, batch 2024-03-08 21:30, id {forecast}",
        "    target                      10%           50%           90%        actual",
        "    2024-03-08 00:00          1,200      1,235.25         1,270      1,250.12",
        "    2024-03-09 00:00          1,190         1,236         1,280             -",
    ]
    assert refuse(shared_home, "forecasts", name, "--series", "MSFT").startswith(
        f"loopcast: {name} has no stored forecasts of MSFT; "
    )


def test_the_lineage_of_a_forecast_is_told(shared_home, name, forecast):
    """All of it, one line for each part; what is not known is a dash."""
    lines = dict(line.split(maxsplit=1) for line in run(shared_home, "lineage", str(forecast)).stdout.splitlines())

    assert list(lines) == list(ForecastLineage.model_fields)
    assert lines["id"] == str(forecast)
    assert (lines["git_commit"], lines["is_git_dirty"], lines["snapshot_url"]) == ("c0ffee", "False", "-")
    assert lines["trained_until_utc"] == "2024-02-29 00:00:00 UTC"
    assert refuse(shared_home, "lineage", str(UUID(int=0))).startswith(
        "loopcast: no forecast 00000000-0000-0000-0000-000000000000 is stored here; "
    )


def test_old_forecasts_are_forgotten_on_demand(shared_home, database, name):
    """By the retention that is set or given, and not at all without one."""
    made_utc = datetime(1982, 6, 15, tzinfo=UTC)
    ForecastStore(database).write(make_stored(problem=name, start="1982-06-14", issued_at_utc=made_utc))
    now_utc = datetime.now(UTC)
    months = 12 * (now_utc.year - 1982) + now_utc.month - 6

    assert refuse(shared_home, "forget") == (
        "loopcast: LOOPCAST_FORECAST_RETENTION_MONTHS is not set, so that all is kept; set it, or give --months"
    )
    answer = run(shared_home, "forget", LOOPCAST_FORECAST_RETENTION_MONTHS=str(months))
    assert answer.stdout.endswith(" forecasts forgotten that were made before 1982-06-01\n")
    assert ForecastStore(database).count(name) == 1
    answer = run(shared_home, "forget", "--months", str(months - 1))
    assert answer.stdout == "1 forecasts forgotten that were made before 1982-07-01\n"


def test_a_token_is_made_shown_once_listed_and_revoked(shared_home, database, name):
    """The secret alone is on stdout, so that a script can take it; afterwards nothing shows it. The audit has both."""
    for problem in ("google", "energy"):
        decide(database, problem)
    scope = ("--problem", "google", "--problem", "energy")
    made = run(shared_home, "tokens", "create", name, "--role", "operator", *scope, "--expires-days", "90")
    secret = made.stdout.strip()
    [token] = [each for each in TokenStore(database).list_all() if each.name == name]

    assert token.secret_sha256 == hashlib.sha256(secret.encode()).digest()
    assert timedelta(days=89) < token.expires_at_utc - datetime.now(UTC) < timedelta(days=90)
    assert f"This is the secret of {name}, token {token.id}; it is not shown again." in made.stderr
    [line] = [each for each in run(shared_home, "tokens", "list").stdout.splitlines() if name in each]
    assert line.startswith(f"{token.id}  {name}")
    assert "operator of energy, google, made" in line
    assert line.endswith(f", expires {token.expires_at_utc:%Y-%m-%d}")
    assert run(shared_home, "tokens", "revoke", str(token.id)).stdout.startswith(f"{name}: revoked 20")
    [line] = [each for each in run(shared_home, "tokens", "list").stdout.splitlines() if name in each]
    assert f", revoked {datetime.now(UTC):%Y-%m-%d}" in line
    assert secret not in line
    done = run(shared_home, "audit", "--limit", "500").stdout
    assert f"token revoked    {token.id}, by " in done
    assert f"token created    {token.id}, by " in done
    assert f"- name {name}, role operator, problems energy, google, expires {token.expires_at_utc:%Y-%m-%d}" in done
    assert secret not in done


def test_a_token_is_for_problems_that_there_are(shared_home, database, name):
    """One with a misspelt problem would open nothing, and nobody would know why."""
    decide(database, name)

    sentence = refuse(shared_home, "tokens", "create", "dash", "--problem", name, "--problem", "gogle")

    assert "dash: no model of gogle was trained here; known: " in sentence
    assert name in sentence.partition("known: ")[2]


@pytest.mark.parametrize("problems", [(), ("--all-problems", "--problem", "google")], ids=["neither", "both"])
def test_a_token_says_what_it_may_ask_about(shared_home, problems):
    """All problems are opened on purpose, not by leaving something out."""
    sentence = refuse(shared_home, "tokens", "create", "dash", *problems)

    assert "--problem and --all-problems, needs one of them" in sentence


def test_an_unknown_token_cannot_be_revoked(shared_home):
    """The sentence says where those are that can."""
    assert "`loopcast tokens list` shows" in refuse(shared_home, "tokens", "revoke", str(UUID(int=0)))


def test_the_demo_stops_at_what_check_refuses(write):
    """Nothing is trained of a problem with a misspelt key, and no traceback hides the sentence."""
    path = write(horizn=5)

    answer = subprocess.run(["make", "demo", f"CONFIG={path}"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert answer.returncode != 0
    assert f"loopcast: {path}: `horizn` is not a key here; did you mean `horizon`?" in answer.stderr.splitlines()
    assert "Traceback" not in answer.stdout + answer.stderr
    assert "Training" not in answer.stdout
