"""One institution: its people, its clock, and the log that grows as it goes on."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from heapq import heappop, heappush
from itertools import count
from typing import Any

import msgspec

from eventstore.codec import encode
from eventstore.envelope import Actor, Metadata
from eventstore.events import AnyEvent, type_name
from tests.bench.term.answers import CHOICES, Answers
from tests.bench.term.people import Conversation, Course, Experience, Learner
from tests.bench.term.plan import START, Share, Term
from tests.bench.term.words import Words

Life = Iterator[float]
"""Somebody who acts, waits for so many seconds, and acts again."""


class PendingEvent(msgspec.Struct, frozen=True):
    """An event to be recorded; with content where it speaks in a conversation."""

    event: AnyEvent
    content: str | None = None
    of: Conversation | None = None
    metadata: Metadata | None = None


class Batch(msgspec.Struct):
    """Rows for the log: events, texts, and the positions of texts that go."""

    events: list[tuple[Any, ...]] = []
    texts: list[tuple[Any, ...]] = []
    gone: list[int] = []


class Institution:
    """What a log is made from.

    `sessions` counts those that learners have begun, `running` those that go on.
    """

    def __init__(self, term: Term, share: Share, answers: Answers, chance: random.Random) -> None:
        self.term = term
        self.share = share
        self.chance = chance
        self.answers = answers
        self.models = CHOICES[(share.account_id - 1) % len(CHOICES)]
        self.words = Words(chance)
        self.now = 0.0
        self.head = 0
        self.batch = Batch()
        self.courses: list[Course] = []
        self.experiences: list[Experience] = []
        self.learners: list[Learner] = []
        self.sessions = 0
        self.running = 0
        self.conversations = count(1)
        self.holds = count(1)
        self.owner = chance.getrandbits(48)
        self._agenda: list[tuple[float, int, Life]] = []
        self._order = count()
        self._revisions: dict[str, int] = {}

    @property
    def moment(self) -> datetime:
        """The present time."""
        return START + timedelta(seconds=self.now)

    def has_room(self, events: int) -> bool:
        """Whether so many more events are sure to fit in."""
        return self.share.events - self.head > events

    def begin(self, life: Life, after: float = 0.0) -> None:
        """Lets somebody act, after so many seconds and then as they like."""
        heappush(self._agenda, (self.now + after, next(self._order), life))

    def step(self) -> None:
        """Lets the next one act."""
        self.now, _, life = heappop(self._agenda)
        pause = next(life, None)
        if pause is not None:
            self.begin(life, pause)

    def record(self, stream: str, metadata: Metadata, *facts: PendingEvent) -> str:
        """Appends events to a stream; the id of the last of them."""
        event_id, usual, at = "", encode(metadata), self.moment
        for fact in facts:
            self.head += 1
            revision = self._revisions[stream] = self._revisions.get(stream, 0) + 1
            event_id = self.new_id()
            event, own = fact.event, fact.metadata
            row = (
                self.share.account_id,
                self.head,
                stream,
                revision,
                event_id,
                type_name(event),
                getattr(event, "conversation_id", None),
                encode(event),
                encode(own) if own else usual,
                self._keep(fact),
                at,
            )
            self.batch.events.append(row)
        return event_id

    def forget_stream(self, stream: str) -> None:
        """Nothing more will be recorded there."""
        del self._revisions[stream]

    def take_batch(self) -> Batch:
        """What was recorded since the last time."""
        taken, self.batch = self.batch, Batch()
        return taken

    def expire(self, conversation: Conversation) -> int:
        """The texts of a conversation go; how many they are."""
        number = len(conversation.texts)
        self.batch.gone += conversation.texts
        conversation.texts = []
        conversation.expired = True
        return number

    def new_id(self) -> str:
        """A UUID of the present moment (RFC 9562, version 7)."""
        milliseconds = int((START.timestamp() + self.now) * 1000)
        bits = self.chance.getrandbits(74)
        text = f"{milliseconds:012x}7{bits >> 62:03x}{0x8 | (bits >> 60) & 3:x}{bits % 2**60:015x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def by(self, user_id: int, role: str, token_id: int, turn_id: str | None = None) -> Metadata:
        """The circumstances of a request; some clients send a key with it."""
        keyed = turn_id is not None and self.chance.random() < 0.2
        return Metadata(
            actor=Actor(user_id, role),
            token_id=token_id,
            request_id=self.new_id(),
            correlation_id=turn_id,
            idempotency_key=f"k{self.chance.getrandbits(64):016x}" if keyed else None,
        )

    def by_learner(self, learner: Learner, turn_id: str | None = None) -> Metadata:
        """The circumstances of a learner's request."""
        return self.by(learner.user_id, "learner", learner.token_id, turn_id)

    def by_teacher(self, course: Course, turn_id: str | None = None) -> Metadata:
        """The circumstances of a teacher's request."""
        return self.by(course.teacher, "teacher", course.token_id, turn_id)

    def _keep(self, fact: PendingEvent) -> bytes | None:
        """Keeps the text, if there is one; what the event commits to."""
        if fact.content is None:
            return None
        assert fact.of is not None, "texts are of conversations"
        salt = self.chance.randbytes(16)
        subject = fact.of.dialogue.learner.user_id
        self.batch.texts.append((self.share.account_id, self.head, subject, salt, fact.content))
        fact.of.texts.append(self.head)
        return sha256(salt + fact.content.encode()).digest()


def by_model(asked: Metadata, event_id: str) -> Metadata:
    """The circumstances of what a model does because of an event."""
    return msgspec.structs.replace(
        asked,
        actor=Actor(None, "model"),
        token_id=None,
        idempotency_key=None,
        causation_id=event_id,
    )
