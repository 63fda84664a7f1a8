"""Errors of projections."""


class ProjectionError(Exception):
    """An operation on a projection failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class UnknownProjection(ProjectionError):
    """There is no projection of this name."""


class RebuildUnderWay(ProjectionError):
    """Another process is rebuilding this projection."""


class SwapTimedOut(ProjectionError):
    """The views could not be changed: long queries hold them."""


class ProjectionRefused(ProjectionError):
    """A user-defined projection cannot be installed."""


class FilesExist(ProjectionError):
    """The files exist already."""


class NotFollowed(ProjectionError):
    """An inline projection is updated in each append's transaction and cannot be paused."""


class NotInstalled(ProjectionError):
    """The database has no such projection."""
