"""The errors that a command explains in one line; any other is a bug and shows its traceback."""

import errno

import asyncpg

from eventstore.errors import EventStoreError
from projections.errors import ProjectionError
from service.embedded.errors import EmbeddedPostgresError
from service.errors import ServiceError
from sql.errors import DatabaseUnfit

FORESEEN = (ServiceError, EventStoreError, ProjectionError, DatabaseUnfit, EmbeddedPostgresError)
LOST = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InternalClientError,
)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
