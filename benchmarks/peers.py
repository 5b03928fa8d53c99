"""The libraries that Loopcast is measured against, each in a virtual environment of its own under `.bench`."""

import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / ".bench"
REQUIREMENTS: Final = {"neuralforecast": ("neuralforecast==3.3.0", "torch==2.13.0")}


def install_peer(name: str) -> Path:
    """The Python of a peer's environment, which is made when it is missing or was not finished."""
    folder = FOLDER / name
    python, mark = folder / "bin" / "python", folder / ".ready"
    if not mark.exists():
        print(f"Setting up {folder} for {', '.join(REQUIREMENTS[name])}: two minutes, once.", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS[name]]
        subprocess.run(install, check=True, stdout=sys.stderr)
        mark.touch()
    return python
