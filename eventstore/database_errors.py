"""The meanings of database errors: one table of SQLSTATEs for all packages."""

from collections.abc import Mapping
from enum import Enum

import asyncpg

from eventstore.errors import DatabaseBusy, EventStoreError, LogUnavailable


class Meaning(Enum):
    """What an error means for its caller."""

    AWAY = "The server or the session is unusable: close the session and open another."
    BUSY = "The server cannot do it at the moment: retry in the same session."
    UNFIT = "The database lacks objects or rights that we need: its operator must repair it."
    REFUSED = "A constraint or a trigger refuses what the statement would store."
    OURS = "The statement is wrong."


DATABASE_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""Every error of statements and connection attempts; asyncpg's have no common base class."""

_STATEMENT_FAULTS = frozenset(
    (
        *("00", "01", "02", "03", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "24", "2B"),
        *("2D", "2F", "34", "36", "38", "39", "3B", "42", "54", "HV", "P0"),
    )
)
"""SQLSTATE classes that only the text of a statement or of our SQL functions can cause."""

SQLSTATES: Mapping[str, Meaning] = {
    "08": Meaning.AWAY,  # connection exception
    "09": Meaning.REFUSED,  # triggered action exception
    "22": Meaning.REFUSED,  # data exception
    "23": Meaning.REFUSED,  # integrity constraint violation
    "25": Meaning.AWAY,  # invalid transaction state: read-only after a failover, timed out
    "26": Meaning.AWAY,  # a prepared statement is gone: a pooler, or DISCARD
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
    "54000": Meaning.BUSY,  # program limit exceeded: notification queue, sequence
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
    **dict.fromkeys(_STATEMENT_FAULTS, Meaning.OURS),
}
"""By code, else by class; only triggers of others raise a class that is missing here."""


def meaning(error: BaseException) -> Meaning:
    """The meaning of an error of a statement or a connection attempt."""
    match error:
        case asyncpg.InvalidCachedStatementError():  # a view was replaced
            return Meaning.BUSY
        case asyncpg.PostgresError():
            code = error.sqlstate or ""
            return SQLSTATES.get(code) or SQLSTATES.get(code[:2], Meaning.REFUSED)
        case ValueError():  # such as an invalid connection URL
            return Meaning.OURS
        case OSError() | asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return Meaning.AWAY
        case _:
            return Meaning.OURS


def is_passing(error: BaseException) -> bool:
    """Whether a retry may succeed soon, on this server or another."""
    return meaning(error) in (Meaning.AWAY, Meaning.BUSY)


def unavailable(error: BaseException) -> EventStoreError | None:
    """The error to raise to callers if the database is at fault; else None."""
    match meaning(error):
        case Meaning.AWAY | Meaning.UNFIT:
            return LogUnavailable()
        case Meaning.BUSY:
            return DatabaseBusy()
        case Meaning.REFUSED | Meaning.OURS:
            return None
