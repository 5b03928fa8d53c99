"""A preempted training is taken up through Flyte's own checkpoint."""

import time
from pathlib import Path

import numpy as np
from flytekit.core.checkpointer import SyncCheckpoint

from loopcast.model.training import train_network
from tasks.checkpoints import open_checkpoints
from tests.model.test_training import DESIGN, PROBLEM, SPLIT


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
        assert appears(tmp_path / "saved" / "seed-0.pt")


def test_without_a_checkpoint_there_is_just_a_folder():
    """A run outside of a task trains all the same."""
    with open_checkpoints(None) as folder:
        assert folder.is_dir()

    assert not folder.exists()


def stop_after_one_epoch(epoch: int, loss: float) -> bool:
    """End the training as a preemption would, behind a finished epoch."""
    return epoch == 1


def appears(file: Path) -> bool:
    """Whether a file comes to be within five seconds."""
    deadline = time.monotonic() + 5
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return file.exists()
