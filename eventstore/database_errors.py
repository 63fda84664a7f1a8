"""What an error of the database means: the one table of SQLSTATEs, which all that meet one read."""

from collections.abc import Mapping
from enum import Enum

import asyncpg

from eventstore.errors import DatabaseBusy, EventStoreError, LogUnavailable


class Meaning(Enum):
    """What to make of an error."""

    AWAY = "The server, or our session on it, is no good: close the session, and try another."
    BUSY = "The server cannot do it at the moment: try again on the same session."
    UNFIT = "The database lacks what we need, or does not let us: its operator must mend it."
    REFUSED = "A constraint or a trigger does not take what the statement would store."
    OURS = "The statement is wrong."


DATABASE_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""All that a statement or a connection attempt can raise; asyncpg's errors have no common base."""

_OF_TEXT = frozenset(
    (
        *("00", "01", "02", "03", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "24", "2B"),
        *("2D", "2F", "34", "36", "38", "39", "3B", "42", "54", "HV", "P0"),
    )
)
"""Classes that only the text of a statement, or of a function of ours, brings about."""

SQLSTATES: Mapping[str, Meaning] = {
    "08": Meaning.AWAY,  # connection exception
    "09": Meaning.REFUSED,  # triggered action exception
    "22": Meaning.REFUSED,  # data exception
    "23": Meaning.REFUSED,  # integrity constraint violation
    "25": Meaning.AWAY,  # invalid transaction state: read-only after a failover, timed out
    "26": Meaning.AWAY,  # a prepared statement is gone: a pooler, or who discarded it
    "27": Meaning.REFUSED,  # triggered data change violation
    "28": Meaning.AWAY,  # invalid authorization: a password was changed
    "3D": Meaning.AWAY,  # invalid catalog name: the database is being restored
    "3F": Meaning.UNFIT,  # invalid schema name
    "40": Meaning.BUSY,  # transaction rollback: deadlock, serialization
    "40003": Meaning.AWAY,  # statement completion unknown
    "42501": Meaning.UNFIT,  # insufficient privilege
    "42704": Meaning.UNFIT,  # undefined object, such as a role
    "42883": Meaning.UNFIT,  # undefined function
    "42P01": Meaning.UNFIT,  # undefined table
    "42P05": Meaning.AWAY,  # duplicate prepared statement: a pooler
    "44": Meaning.REFUSED,  # with check option violation
    "53": Meaning.BUSY,  # insufficient resources
    "53100": Meaning.AWAY,  # disk full
    "53300": Meaning.AWAY,  # too many connections: there is no session
    "54000": Meaning.BUSY,  # program limit exceeded: the queue of notifications, no numbers left
    "55": Meaning.BUSY,  # object not in prerequisite state: locked
    "55006": Meaning.OURS,  # object in use: by the session itself
    "55P02": Meaning.OURS,  # cannot change runtime parameter
    "55P04": Meaning.OURS,  # unsafe new enum value usage
    "57": Meaning.AWAY,  # operator intervention: shut down, crashed, starting
    "57014": Meaning.BUSY,  # query cancelled
    "58": Meaning.AWAY,  # system error: the server's disk
    "72": Meaning.BUSY,  # snapshot too old
    "F0": Meaning.AWAY,  # configuration file error
    "P0001": Meaning.REFUSED,  # raise exception: a trigger
    "XX": Meaning.BUSY,  # internal error, damaged data
    **dict.fromkeys(_OF_TEXT, Meaning.OURS),
}
"""By code, else by class; a class that is not here can only be a trigger's of somebody else."""


def meaning(error: BaseException) -> Meaning:
    """What an error that a statement or a connection attempt has raised means."""
    match error:
        case asyncpg.InvalidCachedStatementError():  # a view was replaced meanwhile
            return Meaning.BUSY
        case asyncpg.PostgresError():
            code = error.sqlstate or ""
            return SQLSTATES.get(code) or SQLSTATES.get(code[:2], Meaning.REFUSED)
        case ValueError():  # such as a connection URL that is none
            return Meaning.OURS
        case OSError() | asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return Meaning.AWAY
        case _:
            return Meaning.OURS


def is_passing(error: BaseException) -> bool:
    """Whether the same may succeed in a moment, on this server or the next."""
    return meaning(error) in (Meaning.AWAY, Meaning.BUSY)


def unavailable(error: BaseException) -> EventStoreError | None:
    """What to tell whoever waits, where the fault is the database's; else None."""
    match meaning(error):
        case Meaning.AWAY | Meaning.UNFIT:
            return LogUnavailable()
        case Meaning.BUSY:
            return DatabaseBusy()
        case Meaning.REFUSED | Meaning.OURS:
            return None
