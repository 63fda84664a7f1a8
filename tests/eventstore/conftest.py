"""Fixtures of the tests of sealing."""

from pathlib import Path

import pytest

from eventstore.sealing.sealer import Sealer
from eventstore.sealing.signing_keys import KeyLocation, open_signer


@pytest.fixture
def place(tmp_path: Path) -> KeyLocation:
    """A location with a key."""
    place = KeyLocation(tmp_path / "keys")
    open_signer(place)
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For the files of checkpoints."""
    return tmp_path / "checkpoints"


@pytest.fixture
def sealer(database_url: str, place: KeyLocation, folder: Path) -> Sealer:
    """A sealer, one of any number, with pauses of 20 ms."""
    return Sealer(database_url, place, folder, 0.02)
