"""Definitions of projections: tables, and statements over a range of positions.

The statements of ``sql/projections/<name>`` run in three modes: inline (the range is a batch, in
the transaction that appends it), followed (ranges from the projection's position to the head) and
rebuild (ranges from the beginning, into a new generation).
"""

import hashlib
from typing import Literal

import msgspec

from projections.errors import UnknownProjection
from sql import loader


class Definition(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A projection as its files describe it.

    Attributes:
        version: Raised with every change of tables or statements.
        mode: "inline" for views that handlers read, "followed" for views that may lag.
        schema: The schema of its stable views.
        interface: Version of the views' columns; each view also exists with the suffix
            ``_v<interface>``. 0: without such views.
        order: "any" if ranges of positions may be applied in any order, and concurrently.
        additive: Whether a range that is applied twice counts twice.
        confined: Whether it is user-defined: its statements have rights on its own tables only.
        tables: The tables with stable views.
        days: For each of these, the column by whose day (UTC) exports are split.
        consumes: The event types that its statements read.
        readers: The roles that may read its views.
    """

    name: str
    description: str
    version: int
    mode: Literal["inline", "followed"]
    schema: Literal["read", "analytics"] = "read"
    interface: int = 0
    order: Literal["rising", "any"] = "rising"
    additive: bool = False
    confined: bool = False
    days: dict[str, str] = {}
    tables: tuple[str, ...]
    consumes: tuple[str, ...]
    readers: tuple[str, ...]
    definition: str
    statements: tuple[str, ...]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the whole definition."""
        return hashlib.sha256(msgspec.json.encode(self)).digest()


def definitions() -> dict[str, Definition]:
    """All projections of this program by name."""
    return {
        files.name: msgspec.convert(
            {
                "name": files.name,
                "definition": files.tables,
                "statements": files.statements,
                **files.settings,
            },
            Definition,
        )
        for files in loader.projections()
    }


def definition(name: str) -> Definition:
    """The projection of that name.

    Raises:
        UnknownProjection: The message lists the known ones.
    """
    known = definitions()
    if name not in known:
        raise UnknownProjection(f"there is no projection {name}; there are {', '.join(known)}")
    return known[name]
