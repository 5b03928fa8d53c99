"""Every mistake in a problem's YAML gives one sentence that says what was found and what is needed."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from loopcast.config import Training, load_problem
from loopcast.errors import ProblemError, SettingsError
from loopcast.settings import read_settings

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
GOOD: dict[str, Any] = {
    "name": "prices",
    "title": "Prices of a few shares",
    "unit": "USD",
    "source": {"uri": "prices.csv"},
    "columns": {
        "timestamp": "date",
        "target": "adj_close",
        "ohlc": {"open": "open", "high": "high", "low": "low", "close": "close"},
    },
    "frequency": "B",
    "transform": "log",
}


def write(folder: Path, changes: dict[str, Any]) -> Path:
    """A good YAML with some keys changed, given by path, or taken away (`...`)."""
    keys = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *parents, name = path.split(".")
        section = keys
        for parent in parents:
            section = section.setdefault(parent, {})
        section.pop(name, None)
        if value is not ...:
            section[name] = value
    file = folder / "problem.yaml"
    file.write_text(yaml.safe_dump(keys, sort_keys=False), encoding="utf-8")
    return file


def refuse(path: Path) -> str:
    """The sentence with which a YAML is refused, without its folder."""
    with pytest.raises(ProblemError) as refused:
        load_problem(path)
    return str(refused.value).replace(f"{path.parent}/", "")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_problem_of_the_project_loads(path):
    """Each is named as its file is."""
    assert load_problem(path).name == path.stem


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        # keys
        ({"horizn": 5}, "`horizn` is not a key here; did you mean `horizon`?"),
        ({"quality.min_row": 5}, "quality: `min_row` is not a key here; did you mean `min_rows`?"),
        ({"columns.covariates": [{"colum": "v"}]},
         "columns.covariates[0]: `colum` is not a key here; did you mean `column`?"),
        ({"source.password": "x"}, "source: `password` is not a key here; known keys: uri, query, decimal"),
        ({"frequency": ...}, "frequency: this key is missing; add it"),
        ({"columns.target": ..., "unit": ...},
         "unit: this key is missing; add it; columns.target: this key is missing; add it"),
        # types
        ({"horizon": "five"}, "horizon: found 'five', needs a whole number"),
        ({"horizon": 2.5}, "horizon: found 2.5, needs a whole number"),
        ({"network.dropout": "low"}, "network.dropout: found 'low', needs a number"),
        ({"network.moves_center": "perhaps"}, "network.moves_center: found 'perhaps', needs true or false"),
        ({"title": 7}, "title: found 7, needs text; put it in quotes"),
        ({"forecast_series": "GOOG"}, "forecast_series: found 'GOOG', needs a list such as [a, b]"),
        ({"forecast_series": [False]}, "forecast_series[0]: found False, needs text; put it in quotes"),
        ({"source": "sample://stocks"}, "source: found 'sample://stocks', needs a mapping of keys"),
        ({"quality": None}, "quality: found None, needs a mapping of keys"),
        ({"horizon": "x" * 99}, f"horizon: found '{'x' * 59}…, needs a whole number"),
        ({"network.hidden_size": True}, "network.hidden_size: found True, needs a whole number"),
        ({"features.scales": [True, 5, 22]}, "features.scales[0]: found True, needs a whole number"),
        # ranges and choices
        ({"tuning.learning_rates": [0.01, -1]}, "tuning.learning_rates[1]: found -1, needs more than 0.0"),
        ({"tuning.learning_rates": [0.01, 0.001]},
         "tuning.learning_rates: found [0.01, 0.001], needs the lower end first"),
        ({"tuning.dropouts": [0.1, 1]}, "tuning.dropouts[1]: found 1, needs less than 1.0"),
        ({"horizon": 0}, "horizon: found 0, needs at least 1"),
        ({"monitoring.drift_floor": float("inf")}, "monitoring.drift_floor: found inf, needs a finite number"),
        ({"horizon": 367}, "horizon: found 367, needs at most 366"),
        ({"features.decay": 0}, "features.decay: found 0, needs more than 0.0"),
        ({"features.decay": 1}, "features.decay: found 1, needs less than 1.0"),
        ({"features.scales": [5]}, "features.scales: found [5], needs at least 2 items"),
        ({"features.scales": [5, 1]}, "features.scales: found [5, 1], needs windows that ascend without repeats"),
        ({"transform": "log10"}, "transform: found 'log10', needs 'none' or 'log'"),
        ({"aggregate": "max"}, "aggregate: found 'max', needs 'none', 'mean', 'last' or 'sum'"),
        ({"name": "Google!"},
         "name: found `Google!`, needs at most 40 lower-case letters, digits and _, the first a letter"),
        # what does not fit together
        ({"horizon": 300},
         "a horizon of 300 steps and features over 66 steps leave no origin in a series of quality.min_rows = 300; "
         "shorten the horizon or raise min_rows"),
        ({"horizon": 260, "quality.min_rows": 999},
         "training.validation_steps = 250 must exceed the horizon of 260"),
        ({"transform": "none"}, "columns.ohlc makes a variance of log prices; it needs `transform: log`"),
        ({"aggregate": "mean"}, "columns.ohlc belongs to closing prices; found aggregate: mean, needs last"),
        ({"columns.target": "date"},
         "columns: `date` is named as both timestamp and target; each needs a column of its own"),
        ({"columns.covariates": [{"column": "v"}, {"column": "v", "transform": "log"}]},
         "columns: `v` stands there twice as a covariate; remove one"),
        # frequencies and zones
        ({"frequency": "daily"}, "frequency: `daily` is not a frequency; needs a pandas alias such as B, D, h, 15min"),
        ({"frequency": "-1D"}, "frequency: `-1D` does not step forward; needs a pandas alias such as B, D, h, 15min"),
        ({"frequency": "H"},
         "frequency: 'H' is deprecated and will be removed in a future version, please use 'h' instead"),
        ({"frequency": "7h"},
         "frequency: `7h` does not divide a day; needs a step such as 15min, h, 6h, or D for a day"),
        ({"frequency": "24h"},
         "frequency: `24h` does not divide a day; needs a step such as 15min, h, 6h, or D for a day"),
        ({"frequency": "2W"},
         "frequency: `2W` has no fixed grid of dates; needs single steps such as B, D, W-MON, MS, QS"),
        ({"frequency": "bh"},
         "frequency: `bh` has no fixed grid of dates; needs single steps such as B, D, W-MON, MS, QS"),
        ({"time_zone": "Zurich"}, "time_zone: `Zurich` is not a time zone; needs an IANA name such as Europe/Zurich"),
        ({"time_zone": "../UTC"}, "time_zone: `../UTC` is not a time zone; needs an IANA name such as Europe/Zurich"),
        ({"columns.timestamp_format": "dd.mm.yy"},
         "columns.timestamp_format: found `dd.mm.yy`, needs a pattern such as %d/%m/%Y %H:%M, or epoch_s or epoch_ms"),
        ({"columns.timestamp_format": "%d.%m."},
         "columns.timestamp_format: found `%d.%m.`, needs a pattern such as %d/%m/%Y %H:%M, or epoch_s or epoch_ms"),
        # quantiles
        ({"quantiles": [0.9, 0.5, 0.1]},
         "quantiles: found [0.9, 0.5, 0.1], needs levels that ascend without repeats"),
        ({"quantiles": [0.1, 0.5, 0.8]},
         "quantiles: found [0.1, 0.5, 0.8], needs pairs q and 1 - q, so that each lower one opens an interval"),
        ({"quantiles": [0.1, 0.5, 0.9]},
         "quantiles: [0.025, 0.975] are missing, which the 80 % and 95 % intervals need; add them"),
        ({"quantiles": [0, 0.5, 1]},
         "quantiles[0]: found 0, needs more than 0.0; quantiles[2]: found 1, needs less than 1.0"),
        # sources
        ({"source.uri": ""}, "source.uri: found '', needs text"),
        ({"source.query": "SELECT 1"}, "source: `query` is for a postgresql:// source; remove it"),
        ({"source.uri": "postgresql://db/x"},
         "source: a postgresql:// source needs `query`, the SELECT that returns the rows"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_sentence(tmp_path, changes, sentence):
    """The sentence begins with the file and the way to the key."""
    assert refuse(write(tmp_path, changes)) == f"problem.yaml: {sentence}"


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://ann:secret@db/x",
        "postgresql+psycopg://ann:sec/ret@db/x",
        "postgresql://ann:s@cret@db:5432/x",
        "postgresql://db/x?user=ann&password=secret",
        "https://ann:secret@example.com/rows.csv",
    ],
)
def test_a_password_does_not_belong_into_a_problem(tmp_path, uri):
    """A problem is stored with every model; the sentence does not repeat what it found."""
    sentence = refuse(write(tmp_path, {"source.uri": uri, "source.query": "SELECT 1"}))

    assert sentence == (
        "problem.yaml: source: `uri` holds a password, which would be stored with every model; remove it and give it "
        "through the environment: PGPASSWORD or ~/.pgpass, or the storage's own variables"
    )


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://acme.blob.core.windows.net/x/rows.csv?sv=2024-11-04&sig=c2VjcmV0", "sig"),
        ("https://x.s3.amazonaws.com/rows.csv?X-Amz-Credential=AKIA", "X-Amz-Credential"),
        ("https://x.s3.amazonaws.com/rows.csv?X-Amz-Signature=5ec2e7", "X-Amz-Signature"),
        ("https://storage.googleapis.com/x/rows.csv?AWSAccessKeyId=AKIA", "AWSAccessKeyId"),
        ("https://example.com/rows.csv?from=2020&access_token=secret", "access_token"),
        ("https://example.com/rows.csv?api-key=secret", "api-key"),
    ],
)
def test_a_signed_address_does_not_belong_into_a_problem(tmp_path, uri, name):
    """Whoever has it may read; the sentence names the parameter and not its value."""
    sentence = refuse(write(tmp_path, {"source.uri": uri}))

    assert sentence.startswith(f"problem.yaml: source: `uri` holds a credential, `{name}`, which would be stored with")
    assert uri.rpartition("=")[2] not in sentence


@pytest.mark.parametrize(
    ("changes", "frequency"),
    [
        ({"source.uri": "postgresql://ann@db:5432/x", "source.query": "SELECT 1"}, "B"),
        ({"source.uri": "postgresql://ann:@/x?host=/run/db", "source.query": "SELECT 1"}, "B"),
        ({"source.uri": "https://example.com:8080/a@b.csv"}, "B"),
        ({"source.uri": "https://example.com/rows.csv?series=key&sort_key=day"}, "B"),
        ({"source.uri": "rows/200?-sig.csv"}, "B"),
        ({"tuning.learning_rates": [0.01, 0.01], "tuning.weight_decays": [0, 1]}, "B"),
        ({"columns.timestamp_format": "%m/%Y"}, "MS"),
        ({"columns.timestamp_format": "epoch_ms"}, "15min"),
        ({}, "W-WED"),
        ({}, "6h"),
        ({}, "30s"),
    ],
)
def test_what_can_be_is_not_refused(tmp_path, changes, frequency):
    """Rules that refuse mistakes leave all else alone."""
    assert load_problem(write(tmp_path, changes | {"frequency": frequency})).frequency == frequency


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "found NoneType, needs a mapping of keys such as name, source, columns"),
        ("- a\n- b\n", "found list, needs a mapping of keys such as name, source, columns"),
        ("name: [1\n", "not a YAML file: while parsing a flow sequence"),
        ("name: a\nhorizon: 5\nhorizon: 9\n", "not a YAML file: `horizon` stands there twice in"),
        ("gate:\n  alpha: 0.1\n  alpha: 0.2\n", "not a YAML file: `alpha` stands there twice in"),
    ],
)
def test_a_file_that_is_no_problem_is_refused(tmp_path, text, sentence):
    """Whatever it is."""
    (tmp_path / "problem.yaml").write_text(text, encoding="utf-8")

    assert refuse(tmp_path / "problem.yaml").startswith(f"problem.yaml: {sentence}")


def test_a_mapping_may_take_over_another_and_change_it(tmp_path):
    """A key that a merge brings stands there once."""
    path = write(tmp_path, {})
    path.write_text(path.read_text(encoding="utf-8") + "tuning:\n  <<: {n_seeds: 3}\n  n_seeds: 4\n", encoding="utf-8")

    assert load_problem(path).tuning.n_seeds == 4


def test_a_bad_variable_of_the_environment_is_told_in_one_sentence(monkeypatch):
    """With its name, as a shell writes it."""
    monkeypatch.setenv("LOOPCAST_SEED_PROCESSES", "two")

    with pytest.raises(SettingsError) as refused:
        read_settings()

    assert str(refused.value) == "LOOPCAST_SEED_PROCESSES: found 'two', needs a whole number; correct or unset it"


def test_settings_read_whole_numbers_from_text(monkeypatch):
    """Which is all that an environment holds."""
    monkeypatch.setenv("LOOPCAST_SEED_PROCESSES", "3")

    assert read_settings().seed_processes == 3


def test_seeds_follow_each_other():
    """One for each network, from the first."""
    assert list(Training(n_seeds=3, first_seed=7).seeds) == [7, 8, 9]


def test_a_missing_file_is_refused(tmp_path):
    """With the kind of path that is needed."""
    sentence = "no such file; give the path of a problem's YAML, such as configs/google.yaml"

    assert refuse(tmp_path / "problem.yaml") == f"problem.yaml: {sentence}"
