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
