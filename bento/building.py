"""Builds a Bento from a baked version: BentoML's own build, in a process and a store of its own.

What goes into a Bento is said in pyproject.toml, `[tool.bentoml.build]`. BentoML reads where its store lies when it is
imported, so this runs as `python -m bento.building FOLDER VERSION ARCHIVE`, with BENTOML_HOME set to an empty folder,
and in the folder that holds pyproject.toml.
"""

import shutil
import sys
import tomllib
from pathlib import Path
from typing import Final

import bentoml

NAME: Final = "loopcast"
"""Of the model, as pyproject.toml asks for it, and of the Bento."""


def build_bento(folder: Path, version: str, archive: Path) -> None:
    """Write a Bento into the archive, with what lies in the folder as its model.

    Args:
        folder: As `baking.bake` wrote it.
        version: Of the Bento, and of the model in it.
        archive: Absolute path of a file that is not there yet, `.tar.gz`.
    """
    with bentoml.models.create(f"{NAME}:{version}") as model:
        shutil.copytree(folder, model.path, dirs_exist_ok=True)
    options = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["bentoml"]["build"]
    # Not `build_bentofile`: it notes all of the project's dependencies in the Bento, and warns of them at each start.
    bento = bentoml.bentos.build(**options, name=NAME, version=version)
    bentoml.bentos.export_bento(bento.tag, str(archive))


if __name__ == "__main__":
    build_bento(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
