"""A process that ends with the one that started it, also where that one is killed and can end nobody."""

import ctypes
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""Of Linux' prctl: which signal a process gets when the thread that started it has ended."""


def end_with_parent(number: int = signal.SIGKILL) -> None:
    """Let the kernel send this process a signal when the thread that started it is gone; Linux alone can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
