"""The model registry: versions of each problem's model, what each came from, and which one is in service.

A version appears when all of it is written. Which version is champion changes in `promotion` alone.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar

import pandas as pd
from psycopg import Connection
from psycopg.rows import TupleRow
from safetensors import SafetensorError

from loopcast.config import Problem
from loopcast.errors import StoreError
from loopcast.model.folder import load_forecaster, read_forecaster
from loopcast.settings import Settings
from loopcast.stores.aliases import CHAMPION
from loopcast.stores.database import Database
from loopcast.stores.lineage import Lineage
from loopcast.stores.model_version import ModelVersion
from loopcast.stores.model_versions import ModelVersionStore, describe_version
from loopcast.stores.run_states import PROCESS_TAG, fail_open_runs, resume_run, start_run
from loopcast.stores.runs import ERROR_TAG, TrainingRun, frame_path, text_path
from loopcast.stores.serving_model import write_mlflow_model
from loopcast.stores.tracking import global_client, open_client, open_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

CHALLENGER: Final = "challenger"
"""Alias of the version registered last and not promoted."""
FORECASTER: Final = "forecaster"
MODEL: Final = "model"
"""Folders of the forecaster's files in an MLflow model, and of that among a run's artifacts."""


@dataclass(frozen=True)
class Registry:
    """The runs and versions of all problems in one MLflow.

    Attributes:
        client: Speaks to MLflow.
        database: Whose locks keep processes apart, wherever MLflow is.
        settings: Say where artifacts lie, and what is known of the code.
    """

    client: "MlflowClient"
    database: Database
    settings: Settings

    def start_run(self, problem: Problem, lineage: Lineage) -> TrainingRun:
        """A new run in the problem's experiment; see `run_states.start_run`."""
        return start_run(self.client, self._experiment(problem.name), problem, lineage)

    def resume_run(self, run_id: str) -> TrainingRun:
        """A run that was started before; see `run_states.resume_run`."""
        return resume_run(self.client, run_id)

    def fail_open_runs(self, problem: str, error: str, execution_id: str = "") -> None:
        """End as failed what an execution, or without one this process, left open; see `run_states`."""
        fail_open_runs(self.client, self._experiment(problem), error, execution_id)

    @contextmanager
    def used_globally(self, experiment: str) -> Iterator[ModuleType]:
        """`mlflow.pytorch`, while MLflow's global functions speak to this registry, for plugins that use those.

        Args:
            experiment: What the plugin will log to; made where it is missing.
        """
        self._experiment(experiment)
        with global_client(self.client):
            import mlflow.pytorch

            yield mlflow.pytorch

    def register(
        self, run: TrainingRun, forecaster: Path, history: pd.DataFrame, trained_until_utc: datetime
    ) -> ModelVersion:
        """A new version of the forecaster, with the lineage of its run, as the challenger.

        A run has one version: when it was registered before, that version is returned. Where it comes from is written
        into the table that forecasts are joined with, too, also when it is missing there for a version of before.

        Args:
            run: The training.
            forecaster: Folder that `save_forecaster` wrote.
            history: A panel, of which some last rows become the model's example.
            trained_until_utc: Last step of the panel that it was trained on.

        Raises:
            StoreError: The forecaster's weights are not those that were saved.
        """
        fitted, problem = load_forecaster(forecaster)
        version = self._version_of_run(problem.name, run.run_id)
        if version is None:
            with tempfile.TemporaryDirectory() as folder:
                staged, model = Path(folder) / FORECASTER, Path(folder) / MODEL
                shutil.copytree(forecaster, staged)
                write_mlflow_model(staged, problem, history, model)
                self.client.log_artifacts(run.run_id, str(model), MODEL)
            tags = {
                "candidate": fitted.candidate.value,
                "weights_sha256": _read_weights_sha256(forecaster),
                "trained_until_utc": trained_until_utc.isoformat(),
            }
            version = self._create_version(problem.name, run.run_id, tags)
        ModelVersionStore(self.database).record(describe_version(version, problem))
        with self.lock_aliases(problem.name):
            champion = self.champion(problem.name)
            if champion is None or champion.version != version.version:
                self.client.set_registered_model_alias(problem.name, CHALLENGER, str(version.version))
        return version

    def champion(self, problem: str) -> ModelVersion | None:
        """The version in service, None for none."""
        return self._aliased(problem, CHAMPION)

    def challenger(self, problem: str) -> ModelVersion | None:
        """The version registered last and not promoted, None for none."""
        return self._aliased(problem, CHALLENGER)

    def version(self, problem: str, number: int) -> ModelVersion:
        """One version of a problem's model.

        Raises:
            StoreError: There is none of this number.
        """
        found = self.find_version(problem, number)
        if found is None:
            known = [each.version for each in self.versions(problem)]
            raise StoreError(f"{problem} has no version {number}; needs one of {known}")
        return found

    def find_version(self, problem: str, number: int) -> ModelVersion | None:
        """The same, None where there is none."""
        found = _or_none(lambda: self.client.get_model_version(problem, str(number)))
        return None if found is None else ModelVersion.read(found)

    def versions(self, problem: str) -> list[ModelVersion]:
        """All versions of a problem's model, the latest first; those of other makers are left out."""
        found = self.client.search_model_versions(f"name = '{problem}'", order_by=["version_number DESC"])
        return [ModelVersion.read(each) for each in found if "weights_sha256" in each.tags]

    def fetch(self, version: ModelVersion, into: Path) -> Path:
        """The folder for `load_forecaster`, below `into`, with the weights that were registered.

        Raises:
            StoreError: The files cannot be had, or were changed.
        """
        folder = self.download(version, into)
        place = f"{version.problem} version {version.version}"
        try:
            found = read_forecaster(folder).weights_sha256
        except (OSError, ValueError, KeyError, SafetensorError) as exc:
            raise StoreError(f"{place}: no whole model: {exc}; restore its artifacts from a backup") from exc
        if found != version.weights_sha256:
            raise StoreError(
                f"{place}: found weights {found[:12]}, needs {version.weights_sha256[:12]}; "
                "restore its artifacts from a backup"
            )
        return folder

    def download(self, version: ModelVersion, into: Path) -> Path:
        """The same folder, unchecked.

        Raises:
            StoreError: The files cannot be had.
        """
        return self._download(version, f"{MODEL}/data/{FORECASTER}", into)

    def read_figures(self, version: ModelVersion) -> dict[str, float]:
        """The figures of the version in its backtest, by name and unit, as `TrainingRun.log_scores` kept them.

        Beside them its skill over the EWMA baseline, which was judged at the same origins.
        """
        logged = self.client.get_run(version.run_id).data.metrics
        prefix = f"{version.candidate}/"
        figures = {name.removeprefix(prefix): value for name, value in logged.items() if name.startswith(prefix)}
        reference = logged.get("ewma/pinball")
        if reference and "pinball" in figures:
            figures["skill_ratio"] = 1 - figures["pinball"] / reference
        return figures

    def read_frame(self, version: ModelVersion, name: str) -> pd.DataFrame:
        """A table that the version's training kept by `TrainingRun.log_frame`.

        Raises:
            StoreError: There is none of this name, or its bytes were changed.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = self._download(version, frame_path(name), Path(folder))
            try:
                return pd.read_parquet(path, page_checksum_verification=True)
            except (OSError, ValueError) as exc:  # pyarrow's own are among them
                place = f"{version.problem} version {version.version}"
                raise StoreError(
                    f"{place}: {frame_path(name)} cannot be read: {exc}; restore it from a backup"
                ) from exc

    def read_text(self, version: ModelVersion, name: str) -> str | None:
        """A text that was kept beside the version by `TrainingRun.log_text` or `keep_text`, None for none."""
        path = Path(text_path(name))
        if path.as_posix() not in {each.path for each in self.client.list_artifacts(version.run_id, str(path.parent))}:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return self._download(version, path.as_posix(), Path(folder)).read_text(encoding="utf-8")

    def keep_text(self, version: ModelVersion, name: str, text: str) -> None:
        """Keep a text beside a version whose training is over."""
        TrainingRun(self.client, version.run_id).log_text(name, text)

    def lock_aliases(self, problem: str) -> AbstractContextManager[Connection[TupleRow]]:
        """While the block runs nobody else moves an alias of the problem's model; the connection holds the lock."""
        return self.database.locked(f"promotion/{problem}")

    def move_champion(self, version: ModelVersion) -> None:
        """Let the version be the champion, and no longer the challenger; the caller holds `lock_aliases`."""
        self.client.set_registered_model_alias(version.problem, CHAMPION, str(version.version))
        challenger = self.challenger(version.problem)
        if challenger is not None and challenger.version == version.version:
            self.client.delete_registered_model_alias(version.problem, CHALLENGER)

    def tag(self, version: ModelVersion, name: str, text: str) -> None:
        """Set one tag of a version."""
        self.client.set_model_version_tag(version.problem, str(version.version), name, text)

    def _experiment(self, name: str) -> str:
        return open_experiment(self.client, self.settings, self.database, name)

    def _version_of_run(self, problem: str, run_id: str) -> ModelVersion | None:
        found = self.client.search_model_versions(f"name = '{problem}' and run_id = '{run_id}'")
        return ModelVersion.read(found[0]) if found else None

    def _create_version(self, problem: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """The version appears with all its tags at once."""
        run = self.client.get_run(run_id)
        of_run_alone = ("mlflow.", PROCESS_TAG, ERROR_TAG)
        lineage = {name: text for name, text in run.data.tags.items() if not name.startswith(of_run_alone)}
        with self.database.locked(f"model/{problem}"):
            if _or_none(lambda: self.client.get_registered_model(problem)) is None:
                self.client.create_registered_model(problem)
        source = f"{run.info.artifact_uri}/{MODEL}"
        return ModelVersion.read(self.client.create_model_version(problem, source, run_id, {**lineage, **tags}))

    def _aliased(self, problem: str, alias: str) -> ModelVersion | None:
        model = _or_none(lambda: self.client.get_registered_model(problem))
        number = model.aliases.get(alias) if model else None
        return None if number is None else self.version(problem, int(number))

    def _download(self, version: ModelVersion, path: str, into: Path) -> Path:
        from mlflow.exceptions import MlflowException

        into.mkdir(parents=True, exist_ok=True)
        try:
            return Path(self.client.download_artifacts(version.run_id, path, str(into)))
        except (MlflowException, OSError) as exc:
            raise StoreError(
                f"{version.problem} version {version.version}: {path} cannot be had: {exc}; "
                "restore the run's artifacts from a backup, or check the rights on them"
            ) from exc


def open_registry(settings: Settings, database: Database) -> Registry:
    """The registry of these settings, ready for use.

    Raises:
        StoreError: MLflow does not answer, or is of another version.
    """
    return Registry(open_client(settings, database), database, settings)


def _read_weights_sha256(folder: Path) -> str:
    return str(json.loads((folder / "forecaster.json").read_text(encoding="utf-8"))["weights_sha256"])


def _or_none(ask: Callable[[], T]) -> T | None:
    """What MLflow answers, None where it knows of no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as exc:
        if exc.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
