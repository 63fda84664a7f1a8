"""The errors that a command explains in one line; any other is a bug and shows its traceback."""

import errno

import asyncpg

from eventstore.database_errors import Meaning, meaning
from eventstore.errors import EventStoreError
from projections.errors import ProjectionError
from service.embedded_postgres.errors import EmbeddedPostgresError
from service.errors import ServiceError
from service.file_work import reason_of
from service.identity.errors import RosterError
from sql.errors import DatabaseUnfit

EXPLAINED_ERRORS = (
    ServiceError,
    EventStoreError,
    ProjectionError,
    DatabaseUnfit,
    EmbeddedPostgresError,
)
_SESSION_ERRORS = (
    ConnectionError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_DATABASE_MESSAGES = {
    Meaning.AWAY: "the connection to the database broke",
    Meaning.BUSY: "the database cannot do this at the moment",
    Meaning.UNFIT: "the database is not in the expected state, see `colloquy doctor`",
    Meaning.REFUSED: "the database refused this",
}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def explanation(error: Exception) -> list[str] | None:
    """The lines that explain an error; None for an unexpected one."""
    match error:
        case RosterError():
            return list(error.lines)
        case _ if isinstance(error, EXPLAINED_ERRORS):
            return [str(error)]
        case _ if isinstance(error, _SESSION_ERRORS):
            words = _DATABASE_MESSAGES.get(meaning(error))
            return [f"{words}: {error}".partition("\n")[0]] if words else None
        case TimeoutError(errno=None):
            return ["the database did not answer in time: is something locked in it?"]
        case OSError() if error.filename is not None or error.errno in _NO_ROOM:
            return [f"{error.filename or 'standard output'}: {reason_of(error)}"]
        case _:
            return None
