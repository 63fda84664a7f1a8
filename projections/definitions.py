"""What a projection is: tables, and statements over a range of positions.

The statements of ``sql/projections/<name>`` are written once and serve three ways: inline (the
range is the batch being appended, in the same transaction), followed (from the checkpoint to
the head) and rebuild (ranges from the beginning, into a new generation).
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
        mode: "inline" for what handlers read, "followed" for what may lag a little.
        schema: Where its stable views are.
        interface: Version of the views' columns: they also stand there with ``_v<interface>``
            after their names. 0: they do not.
        order: "any" where ranges of positions may be applied in any order, also several at once.
        additive: A range that was applied twice would count twice.
        confined: Written by its users: the statements have no rights but on their own tables.
        tables: The tables that show as stable views.
        days: For each of these the column by whose day (UTC) exports are split.
        consumes: The event types that its statements look at.
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
        """SHA-256 over all that the version stands for."""
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
        UnknownProjection: The message lists those that there are.
    """
    known = definitions()
    if name not in known:
        raise UnknownProjection(f"there is no projection {name}; there are {', '.join(known)}")
    return known[name]
