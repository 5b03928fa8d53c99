"""A preempted training is taken up through Flyte's own checkpoint."""

import logging
import time
from collections.abc import Callable

import numpy as np
import pytest
from flytekit.core.checkpointer import SyncCheckpoint

from loopcast.model.training import train_network
from tasks.checkpoints import open_checkpoints
from tests.model.test_training import DESIGN, PROBLEM, SPLIT

# Flytekit leaves the folder of a checkpoint to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")


def test_a_preempted_training_resumes_from_flytes_checkpoint_to_the_same_weights(tmp_path):
    """What the first attempt saved is restored by the second, which ends with an undisturbed run's weights."""
    first = SyncCheckpoint(checkpoint_dest=str(tmp_path / "attempt-0"))
    with open_checkpoints(first) as folder:
        train_network(DESIGN, SPLIT, PROBLEM, 0, checkpoint=folder / "seed-0.pt", report=stop_after_one_epoch)
    second = SyncCheckpoint(checkpoint_dest=str(tmp_path / "attempt-1"), checkpoint_src=str(tmp_path / "attempt-0"))

    with open_checkpoints(second) as folder:
        was_restored = (folder / "seed-0.pt").exists()
        resumed = train_network(DESIGN, SPLIT, PROBLEM, 0, checkpoint=folder / "seed-0.pt")

    undisturbed = train_network(DESIGN, SPLIT, PROBLEM, 0)
    assert was_restored
    assert np.array_equal(resumed.curve, undisturbed.curve, equal_nan=True)
    assert all((resumed.weights[name] == value).all() for name, value in undisturbed.weights.items())


def test_a_checkpoint_is_saved_while_the_training_runs(tmp_path):
    """A preemption between two saves costs no more than the time between them."""
    checkpoint = SyncCheckpoint(checkpoint_dest=str(tmp_path / "saved"))

    with open_checkpoints(checkpoint, save_every_s=0.05) as folder:
        (folder / "seed-0.pt").write_bytes(b"state")
        assert comes_true((tmp_path / "saved" / "seed-0.pt").exists)


def test_a_retry_of_an_attempt_that_saved_nothing_starts_anew(tmp_path):
    """Flyte names the attempt before to every retry, also when it was preempted before its first save."""
    retry = SyncCheckpoint(checkpoint_dest=str(tmp_path / "attempt-1"), checkpoint_src=str(tmp_path / "attempt-0"))

    with open_checkpoints(retry) as folder:
        found = list(folder.iterdir())

    assert found == []


def test_what_was_restored_outlives_an_attempt_that_saves_nothing_itself(tmp_path):
    """An attempt that is preempted at its start hands on what it was given."""
    (tmp_path / "attempt-0").mkdir()
    (tmp_path / "attempt-0" / "seed-0.pt").write_bytes(b"state")
    retry = SyncCheckpoint(checkpoint_dest=str(tmp_path / "attempt-1"), checkpoint_src=str(tmp_path / "attempt-0"))

    with open_checkpoints(retry):
        handed_on = (tmp_path / "attempt-1" / "seed-0.pt").read_bytes()

    assert handed_on == b"state"


def test_a_failed_upload_is_logged_and_the_next_save_tries_again(tmp_path, caplog):
    """A store that is away for a moment neither ends the training nor the saving."""
    taken = tmp_path / "saved"
    taken.write_text("a file where the folder should be")
    checkpoint = SyncCheckpoint(checkpoint_dest=str(taken))

    with caplog.at_level(logging.WARNING), open_checkpoints(checkpoint, save_every_s=0.05) as folder:
        (folder / "seed-0.pt").write_bytes(b"state")
        assert comes_true(lambda: "FlyteUploadDataException" in caplog.text)
        taken.unlink()
        was_saved = comes_true((taken / "seed-0.pt").exists)

    assert was_saved
    assert str(taken) in caplog.text


def test_without_a_checkpoint_there_is_just_a_folder():
    """A run outside of a task trains all the same."""
    with open_checkpoints(None) as folder:
        assert folder.is_dir()

    assert not folder.exists()


def stop_after_one_epoch(epoch: int, loss: float) -> bool:
    """End the training as a preemption would, behind a finished epoch."""
    return epoch == 1


def comes_true(is_true: Callable[[], bool]) -> bool:
    """Whether a condition holds within five seconds."""
    deadline = time.monotonic() + 5
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_true()
