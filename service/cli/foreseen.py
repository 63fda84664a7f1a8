"""The errors that a command explains in one line; any other is a bug and shows its traceback."""

import errno

import asyncpg

from eventstore.database_errors import Meaning, meaning
from eventstore.errors import EventStoreError
from projections.errors import ProjectionError
from service.embedded.errors import EmbeddedPostgresError
from service.errors import ServiceError
from sql.errors import DatabaseUnfit

FORESEEN = (ServiceError, EventStoreError, ProjectionError, DatabaseUnfit, EmbeddedPostgresError)
LOST = (
    ConnectionError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_LOST = {
    Meaning.AWAY: "the connection to the database broke",
    Meaning.BUSY: "the database cannot do this at the moment",
    Meaning.UNFIT: "the database is not as it must be, see `colloquy doctor`",
    Meaning.REFUSED: "the database refused this",
}
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def why_lost(error: BaseException) -> str | None:
    """What to say of an error of the database; None where the fault is ours."""
    told = _LOST.get(meaning(error))
    return told and f"{told}: {error}".partition("\n")[0]
