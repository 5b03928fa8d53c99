"""What leads back from a model: the commit that runs, who is in charge, and an environment that can be compared."""

import getpass
import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

import loopcast
from loopcast.settings import Settings
from loopcast.stores.environment import compare_environments, read_environment
from loopcast.stores.lineage import Lineage, read_actor, read_git, read_lineage


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A checkout with one commit, of which the running package is a part."""
    (tmp_path / "loopcast").mkdir()
    for path in ("loopcast/__init__.py", "requirements.lock"):
        (tmp_path / path).touch()
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--message", "One")
    monkeypatch.setattr(loopcast, "__file__", str(tmp_path / "loopcast" / "__init__.py"))
    return tmp_path


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_the_checkouts(checkout):
    """All forty digits of it, and nothing was changed since."""
    assert read_git(Settings()) == (_git(checkout, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize(
    ("path", "is_dirty"),
    [
        ("loopcast/__init__.py", True),
        ("loopcast/new_module.py", True),
        ("workflows/mine.py", True),
        ("requirements.lock", True),
        ("configs/mine.yaml", False),
        ("prices.csv", False),
    ],
)
def test_changed_code_and_a_changed_lock_are_told_of(checkout, path, is_dirty):
    """Committed or new; a problem and its data are recorded with the model by themselves."""
    (checkout / path).parent.mkdir(exist_ok=True)
    (checkout / path).write_text("x = 1\n")

    assert read_git(Settings())[1] is is_dirty


def test_a_hook_of_git_does_not_lead_astray(checkout, tmp_path, monkeypatch):
    """Variables by which git tells its hooks of another repository are not followed."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))

    commit, _ = read_git(Settings())

    monkeypatch.delenv("GIT_DIR")
    assert commit == _git(checkout, "rev-parse", "HEAD")


def test_without_git_or_a_checkout_the_commit_is_unknown(checkout, tmp_path_factory, monkeypatch):
    """Also where the package only lies inside somebody else's checkout, as in a virtual environment."""
    (checkout / ".venv" / "loopcast").mkdir(parents=True)
    (checkout / ".venv" / "loopcast" / "__init__.py").touch()
    monkeypatch.setattr(loopcast, "__file__", str(checkout / ".venv" / "loopcast" / "__init__.py"))
    assert read_git(Settings()) == ("unknown", False)

    monkeypatch.setattr(loopcast, "__file__", str(tmp_path_factory.mktemp("plain") / "__init__.py"))
    assert read_git(Settings()) == ("unknown", False)

    monkeypatch.setenv("PATH", "/nowhere")
    assert read_git(Settings()) == ("unknown", False)


def test_an_image_names_its_commit(checkout):
    """LOOPCAST_GIT_COMMIT goes before whatever lies around."""
    assert read_git(Settings(git_commit="c0ffee")) == ("c0ffee", False)


def test_who_is_in_charge(monkeypatch):
    """Whom the settings name, else the execution, else the user, else the number of a user without a name."""
    assert read_actor(Settings(actor="ada"), "a1b2c3") == "ada"
    assert read_actor(Settings(), "a1b2c3") == "a1b2c3"
    assert read_actor(Settings()) == getpass.getuser()

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_242_424)
    assert read_actor(Settings()) == "uid 4242424"


def test_the_environment_is_what_runs(monkeypatch):
    """Packages by their installed versions, the processor by what torch makes of it, and no value is empty."""
    found = read_environment()

    assert found["torch"] == version("torch")
    assert found["cpu_capability"] in {"DEFAULT", "AVX2", "AVX512", "NO AVX", "SVE128", "SVE256"}
    assert all(found.values())
    assert compare_environments(found, read_environment()) == []


def test_each_difference_that_can_change_bits_is_a_sentence():
    """What cannot change them is passed over, and what was not recorded counts."""
    here = {
        "python": "3.12.1", "platform": "Linux-6", "machine": "x86_64", "cpu_vendor": "GenuineIntel",
        "cpu_capability": "AVX512", "torch": "2.13.0", "numpy": "2.4.6", "scipy": "1.17.1", "pandas": "2.3.3",
        "arch": "8.0.0", "mlflow": "3.17.2",
    }  # fmt: skip
    then = here | {"python": "3.11.7", "platform": "Linux-5", "cpu_capability": "AVX2", "mlflow": "3.16.0"}
    del then["numpy"]

    assert compare_environments(then, here) == [
        "python was 3.11.7, here it is 3.12.1; use Python 3.11.7",
        "cpu_capability was AVX2, here it is AVX512; use a processor with AVX2; one with more is held back by the "
        "variable ATEN_CPU_CAPABILITY",
        "numpy was not recorded, here it is 2.4.6",
    ]
    assert compare_environments(here, here | {"python": "3.12.9"}) == []


def test_a_lineage_becomes_tags_without_the_empty_ones():
    """On a laptop there is no execution to name."""
    lineage = read_lineage(Settings(actor="ada", git_commit="c0ffee"), "5a" * 32)

    assert lineage == Lineage("5a" * 32, "c0ffee", is_git_dirty=False, actor="ada", environment=read_environment())
    tags = lineage.tags()
    assert tags["is_git_dirty"] == "false"
    assert tags["environment.torch"] == version("torch")
    assert not {"execution_id", "execution_url"} & tags.keys()
