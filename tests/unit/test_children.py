"""What asks a command to end, and what does not."""

import subprocess
import sys

import pytest

COMMAND = """
import signal, sys
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))
from tools.children import end_like_ctrl_c
end_like_ctrl_c()
try:
    signal.raise_signal(signal.SIGHUP)
except KeyboardInterrupt:
    sys.exit("ends in order")
"""


@pytest.mark.parametrize(("before", "said"), [("SIG_DFL", "ends in order\n"), ("SIG_IGN", "")])
def test_a_closed_terminal_ends_a_command_but_under_nohup(before, said):
    """`nohup make serve &` lets SIGHUP be ignored, and is meant to go on."""
    done = subprocess.run([sys.executable, "-c", COMMAND, before], stderr=subprocess.PIPE, text=True, check=False)

    assert done.stderr == said
