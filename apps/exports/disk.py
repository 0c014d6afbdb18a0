"""Files that are whole or not there: written under a temporary name, fsynced, renamed. Knows no ledger."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def store(path: Path, blocks: Iterable[bytes]) -> tuple[str, int]:
    """Write and fsync a file; answers its SHA-256 and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    with open(path, "wb") as out:
        for block in blocks:
            out.write(block)
            digest.update(block)
            size += len(block)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest(), size


def take_name(temporary: Path, final: Path, *, keep_as: Path) -> None:
    """Put a stored file in the place of `final` in one step; what stood there stays as `keep_as`."""
    if final.exists() and not keep_as.exists():
        os.link(final, keep_as)
    os.replace(temporary, final)


def sync_folder(folder: Path) -> None:
    """A new name is only safe when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
