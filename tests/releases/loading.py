"""Databases of earlier releases, as they were."""

import gzip
import shutil
from pathlib import Path

import msgspec

from eventstore.connections import connect

FOLDER = Path(__file__).parent
FIRST = FOLDER / "2c104ab"


class Release(msgspec.Struct, frozen=True):
    """A database that a release wrote, and its home.

    Attributes:
        tokens: Of users by number; "a" is an auditor's.
    """

    url: str
    home: Path
    tokens: dict[str, str]


async def load(folder: Path, url: str, home: Path) -> Release:
    """Puts a release's database into an empty one, and its keys and checkpoints into a home."""
    connection = await connect(url)
    try:
        await connection.execute(
            gzip.decompress((folder / "database.sql.gz").read_bytes()).decode()
        )
    finally:
        await connection.close()
    for name in ("keys", "checkpoints"):
        shutil.copytree(folder / name, home / name)
    (home / "keys" / "seal.key").chmod(0o600)
    return Release(
        url, home, msgspec.json.decode((folder / "tokens.json").read_bytes(), type=dict[str, str])
    )
