"""What a service writes: lines of JSON on standard error, whatever is logged."""

import json
import subprocess
import sys

SCRIPT = """
import logging, warnings
from pathlib import Path
from app.logs import configure_logs

configure_logs()
logging.getLogger("anything").info("%s forecasts", 3, extra={"fields": {"request_id": "night-7", "folder": Path("a")}})
logging.getLogger("anything").debug("not shown")
warnings.warn("mind the gap")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("anything").exception("two\\nlines")
"""


def test_whatever_is_logged_is_a_line_of_json():
    """Fields become keys, warnings and tracebacks stay on one line, and what is no JSON is told as text."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    info, warning, error = [json.loads(line) for line in done.stderr.splitlines()]
    assert info.items() >= {"level": "INFO", "message": "3 forecasts", "request_id": "night-7", "folder": "a"}.items()
    assert warning["logger"] == "py.warnings"
    assert "mind the gap" in warning["message"]
    assert error["message"] == "two\nlines"
    assert "ZeroDivisionError" in error["traceback"]
    assert done.stdout == ""
