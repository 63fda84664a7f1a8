"""Why the service cannot start."""

from service.errors import ServiceError
from sql.errors import DatabaseUnfit


class CannotServe(ServiceError):
    """the service cannot be started"""


class DatabaseUnreachable(DatabaseUnfit):
    """The database does not answer."""


class DatabaseMissing(DatabaseUnfit):
    """There is no database yet."""
