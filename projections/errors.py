"""What can go wrong with the read views."""


class ProjectionError(Exception):
    """A projection could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class UnknownProjection(ProjectionError):
    """There is no projection of this name."""


class RebuildUnderWay(ProjectionError):
    """Another process is rebuilding this projection."""


class SwapTimedOut(ProjectionError):
    """The rebuilt views could not take the place of the old ones: long queries hold these."""


class ProjectionRefused(ProjectionError):
    """A user-defined projection cannot be installed."""


class FilesExist(ProjectionError):
    """There are files already."""


class NotFollowed(ProjectionError):
    """An inline projection is kept in the append itself and cannot be paused."""


class NotInstalled(ProjectionError):
    """The database has no such projection."""
