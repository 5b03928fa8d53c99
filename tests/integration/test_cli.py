"""What the `loopcast` command answers an operator: sentences, whatever was typed, and never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from loopcast.settings import Settings
from loopcast.stores.database import open_database
from loopcast.stores.promotion import promote
from tests.integration.models import prefer_higher, register_model

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


def test_the_demo_stops_at_what_check_refuses(write):
    """Nothing is trained of a problem with a misspelt key, and no traceback hides the sentence."""
    path = write(horizn=5)

    answer = subprocess.run(["make", "demo", f"CONFIG={path}"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert answer.returncode != 0
    assert f"loopcast: {path}: `horizn` is not a key here; did you mean `horizon`?" in answer.stderr.splitlines()
    assert "Traceback" not in answer.stdout + answer.stderr
    assert "Training" not in answer.stdout
