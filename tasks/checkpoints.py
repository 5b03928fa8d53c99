"""Flyte's checkpoint as a folder: taken up when a preempted task starts again, and saved while it runs."""

import contextvars
import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from flytekit.core.checkpointer import Checkpoint
from flytekit.exceptions.user import FlyteDataNotFoundException

SAVE_EVERY_S: Final = 15.0
"""Seconds between saves: a preemption costs at most this much work, and the upload of some kilobytes costs nothing."""

Saved = dict[str, int]
"""Time of the last change, in nanoseconds, of each file that was saved."""

log = logging.getLogger(__name__)


@contextmanager
def open_checkpoints(checkpoint: Checkpoint | None, save_every_s: float = SAVE_EVERY_S) -> Iterator[Path]:
    """Give a folder that holds what an earlier attempt saved, and save it every few seconds and at the end.

    What was restored is saved at once: the next attempt looks at this one alone, which may end before its first save.

    Args:
        checkpoint: Of the current task; None outside of one.
        save_every_s: Seconds between saves.
    """
    with TemporaryDirectory(prefix="loopcast-checkpoints-") as name:
        folder = Path(name)
        if checkpoint is None:
            yield folder
            return
        # Flyte names a place of the attempt before to every retry, also where that attempt ended without a save.
        with suppress(FlyteDataNotFoundException):
            checkpoint.restore(name)
        saved = _save_changes(checkpoint, folder, {})
        is_over = threading.Event()
        # Flyte keeps its context in context variables, which a new thread does not inherit.
        arguments = (_save_until, is_over, checkpoint, folder, saved, save_every_s)
        saver = threading.Thread(target=contextvars.copy_context().run, args=arguments, daemon=True)
        saver.start()
        try:
            yield folder
        finally:
            is_over.set()
            saver.join()


def _save_until(
    is_over: threading.Event, checkpoint: Checkpoint, folder: Path, saved: Saved, save_every_s: float
) -> None:
    was_over = False
    while not was_over:
        was_over = is_over.wait(save_every_s)
        saved = _save_changes(checkpoint, folder, saved)


def _save_changes(checkpoint: Checkpoint, folder: Path, saved: Saved) -> Saved:
    """What is saved afterwards: what there is now, or as before where it could not be saved."""
    try:
        files = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.pt")}
        if files == saved:
            return saved
        with TemporaryDirectory(prefix="loopcast-saved-") as copy:
            for name in files:
                shutil.copy2(folder / name, copy)  # the originals are replaced while they would be uploaded
            checkpoint.save(copy)
    except Exception as exc:  # noqa: BLE001  # the thread's boundary: no failed upload may end a training or the saving
        log.warning("checkpoint not saved, tried again at the next save: %s: %s", type(exc).__name__, exc)
        return saved
    return files
