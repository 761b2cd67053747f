"""maturin as the build backend, once the C header is where maturin looks for declarations."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import maturin
from maturin import *  # noqa: F403  (the hooks that are not defined here)

from declarations import declarations

_REPOSITORY = Path(__file__).resolve().parents[2]


def _write_declarations() -> None:
    """Without this file maturin would run cbindgen again, with settings under which cffi can't read the result."""
    command = ["cargo", "metadata", "--format-version=1", "--no-deps"]
    metadata = subprocess.run(command, cwd=_REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
    target = Path(json.loads(metadata)["target_directory"])
    target.mkdir(parents=True, exist_ok=True)
    header = (_REPOSITORY / "include" / "voxseg.h").read_text(encoding="utf-8")
    (target / "header.h").write_text(declarations(header), encoding="utf-8")


def build_wheel(directory: str, settings: Any = None, metadata_directory: Any = None) -> str:
    """PEP 517."""
    _write_declarations()
    return maturin.build_wheel(directory, settings, metadata_directory)


def build_editable(directory: str, settings: Any = None, metadata_directory: Any = None) -> str:
    """PEP 660."""
    _write_declarations()
    return maturin.build_editable(directory, settings, metadata_directory)
