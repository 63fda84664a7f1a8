"""Errors of a database that the service cannot use."""


class DatabaseUnfit(Exception):
    """The database cannot be used."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class ServerTooOld(DatabaseUnfit):
    """PostgreSQL is older than the oldest version that Colloquy supports."""


class EarlierReleaseRuns(DatabaseUnfit):
    """A process of an earlier release uses the database."""


class SchemaTooNew(DatabaseUnfit):
    """The database has migrations that this program does not know."""


class SchemaDiffers(DatabaseUnfit):
    """A migration or projection in the database differs from this program's."""


class MigrationFailed(DatabaseUnfit):
    """A migration cannot be applied."""


class RolesMissing(DatabaseUnfit):
    """The login cannot take on Colloquy's roles."""


class NotWritable(DatabaseUnfit):
    """The server is a standby, or read-only: DATABASE_URL must name the primary."""


class EncodingUnfit(DatabaseUnfit):
    """The database has an encoding other than UTF8."""


class SchemaBehind(DatabaseUnfit):
    """The database lacks migrations: run `colloquy migrate`."""
