"""The `eventsourcing` package's projection runner: it counts messages by course and day.

Its events are inserted beforehand, with its own recorder. Each is counted in one transaction with
its tracking record, as the package's documentation does it.
"""

import time
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL

from service.embedded_postgres.socket_folder import PORT
from tests.bench.measuring import scaled
from tests.bench.term.plan import START
from tests.databases import name_of, socket_folder_of

EVENTS = scaled(10_000, at_least=500)
_GROUP = 500
_PATIENCE = 600.0


class MessageWasPosted(Aggregate.Event):
    """A learner of a course posted a message."""

    course_id: int
    day: str


class Learning(Application[UUID]):
    """Holds the events."""


class Counts(PostgresTrackingRecorder):
    """How many messages there were, by course and day."""

    def __init__(self, datastore: PostgresDatastore, **options: Any) -> None:
        super().__init__(datastore, **options)
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS peer_counts (course_id bigint, day date, "
                "messages bigint NOT NULL, PRIMARY KEY (course_id, day))"
            ).format()
        )

    def count(self, course_id: int, day: str, tracking: Tracking) -> None:
        """Counts a message, unless it was counted before."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO peer_counts AS c VALUES (%s, %s, 1) "
                "ON CONFLICT (course_id, day) DO UPDATE SET messages = c.messages + 1",
                (course_id, day),
            )


class Counting(Projection[Counts]):
    """Counts messages."""

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Counts one event."""
        raise NotImplementedError

    @process_event.register
    def _(self, domain_event: MessageWasPosted, tracking: Tracking) -> None:
        self.view.count(domain_event.course_id, domain_event.day, tracking)


def measure_peer(url: str, courses: int) -> float:
    """Seconds that the package's runner takes for `EVENTS` events."""
    environment = _environment(url)
    with Learning(env=environment) as application:
        for first in range(0, EVENTS, _GROUP):
            application.recorder.insert_events(
                [
                    application.mapper.to_stored_event(_event(number, courses))
                    for number in range(first, first + _GROUP)
                ]
            )
        last = application.recorder.max_notification_id()
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Learning,
        projection_class=Counting,
        view_class=Counts,
        env=environment,
    ) as runner:
        runner.wait(last, timeout=_PATIENCE)
        return time.perf_counter() - began


def _event(number: int, courses: int) -> MessageWasPosted:
    moment: datetime = START + timedelta(minutes=number)
    return MessageWasPosted(  # type: ignore[call-arg]  # the package makes it a dataclass
        originator_id=uuid4(),
        originator_version=1,
        timestamp=moment,
        course_id=number % courses,
        day=f"{moment:%Y-%m-%d}",
    )


def _environment(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": name_of(url),
        "POSTGRES_HOST": socket_folder_of(url),
        "POSTGRES_PORT": str(PORT),
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_PASSWORD": parts.password or "",
    }
