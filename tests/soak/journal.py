"""What the clients of a run asked for and were told, for comparing it with the log afterwards."""

from collections import Counter, defaultdict
from hashlib import sha256
from itertools import count
from typing import Any, Literal
from uuid import UUID

import msgspec

from service.model.errors import LEARNER_SENTENCES, SERVICE_STOPPING

Kind = Literal["open", "say", "cancel", "delete", "evaluate"]

MAX_DETAIL = 3_000
_NOT_TAKEN = frozenset({"database_unavailable", "busy", "turn_in_progress"})
_REFUSED = frozenset({400, 404, 412, 422})


class Violation(Exception):
    """An invariant that does not hold; `detail` is the evidence."""

    def __init__(self, invariant: str, detail: object) -> None:
        super().__init__(f"{invariant}\n{str(detail)[:MAX_DETAIL]}")


class Place(msgspec.Struct, frozen=True):
    """An experience of a course."""

    course: int
    experience: int

    @property
    def path(self) -> str:
        """Of its conversations."""
        return f"/api/v1/courses/{self.course}/ai_experiences/{self.experience}/conversations"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a user makes it, perhaps several times."""

    kind: Kind
    user: int
    place: Place
    path: str
    method: Literal["POST", "DELETE"] = "POST"
    text: str | None = None
    key: str | None = None
    if_match: str | None = None
    conversation: int | None = None
    turn: str | None = None
    forbidden: bool = False

    @property
    def body(self) -> dict[str, str]:
        """What is sent as JSON."""
        return {} if self.text is None else {"message": self.text}


class Answer(msgspec.Struct, kw_only=True):
    """What came of sending a request once.

    Attributes:
        request_id: That the client gave to this sending; empty where it gave none.
        status: 0 where no answer came, or not the whole of one; `lost` then tells why.
        streamed: It came as server-sent events; `status` is then that of the plain answer.
        accepted: Data of the event `accepted`.
        pieces: Of the reply, as they came.
        first_id: Of the last event that the client had before, `last_id` that it has now.
    """

    began: int
    ended: int = 0
    request_id: str = ""
    status: int = 0
    body: Any = None
    etag: str | None = None
    lost: str = ""
    streamed: bool = False
    accepted: dict[str, Any] | None = None
    pieces: list[str] = []
    first_id: int = 0
    last_id: int = 0

    @property
    def code(self) -> str:
        """The error's code, empty where there is none."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""

    @property
    def told(self) -> str:
        """The answer in a word, for counting."""
        if self.lost:
            return self.lost
        return f"{self.status} {self.code}".strip()


class Asked(msgspec.Struct, kw_only=True, eq=False):
    """A request and all the answers to it. `outcome` is the first answer that settles it."""

    request: Request
    answers: list[Answer] = []
    outcome: Answer | None = None

    @property
    def over(self) -> bool:
        """Whether asking again would change nothing."""
        return self.outcome is not None or any(a.status in _REFUSED for a in self.answers)

    @property
    def in_doubt(self) -> bool:
        """Whether the service may have taken the request though nobody heard of it."""
        return any(
            a.lost or a.code == "database_unavailable" or is_stopping(a) for a in self.answers
        )

    def take(self, answer: Answer) -> None:
        """Takes one more answer, which must agree with all before.

        Raises:
            Violation: It does not.
        """
        self.answers.append(answer)
        self._check_accepted(answer)
        if not is_outcome(self.request, answer):
            self._check_refusal(answer)
            return
        if self.outcome is None:
            self.outcome = answer
        elif difference := _difference(self.outcome, answer):
            raise Violation(
                "a request with a key is answered the same each time",
                f"{self.request}\nfirst: {shorten(self.outcome)}\nthen: {shorten(answer)}\n"
                f"they differ in {difference}",
            )

    def _check_accepted(self, answer: Answer) -> None:
        seen = {str(a.accepted) for a in self.answers if a.accepted}
        if len(seen) > 1:
            raise Violation("a request leads to one turn", f"{self.request}\n{seen}")
        if answer.accepted and answer.accepted["turn_id"] is None:
            raise Violation("a turn has an id", answer)

    def _check_refusal(self, answer: Answer) -> None:
        if answer.lost or answer.code in _NOT_TAKEN or is_stopping(answer):
            return
        allowed = {
            "open": (),
            "say": (404, 412),
            "cancel": (404,),
            "delete": (404,),
            "evaluate": (),
        }[self.request.kind]
        if answer.status == 422 and self.request.forbidden:
            return
        if self.outcome is not None or answer.status not in allowed:
            raise Violation(
                "only answers of the contract are given",
                f"{self.request}\n{shorten(answer)}\nbefore: {shorten(self.outcome)}",
            )


def _difference(one: Answer, other: Answer) -> str:
    """In what two answers differ; `turn_is_over` is not on record, so its reference may."""
    if not (one.streamed or other.streamed) and one.status != other.status:
        return "status"
    if one.etag and other.etag and one.etag != other.etag:
        return "ETag"
    if one.code == other.code == "turn_is_over":
        return ""
    return "" if one.body == other.body else "body"


def is_outcome(request: Request, answer: Answer) -> bool:
    """Whether the answer settles the request, so that each further one must be the same."""
    if answer.lost or request.forbidden:
        return False
    match request.kind:
        case "delete":
            return answer.status == 200
        case "cancel":
            return answer.status == 200 or answer.code == "turn_is_over"
        case _:
            return (
                answer.status in (200, 201)
                or answer.code == "turn_cancelled"
                or (answer.code in LEARNER_SENTENCES and not is_stopping(answer))
            )


def is_stopping(answer: Answer) -> bool:
    """Whether the process refused the request since it is about to stop, recording nothing."""
    recorded = LEARNER_SENTENCES[SERVICE_STOPPING]
    return answer.code == SERVICE_STOPPING and answer.body["error"] != recorded


def shorten(answer: Answer | None) -> str:
    """An answer as evidence."""
    return str(answer)[: MAX_DETAIL // 3]


def canonical(body: Any) -> bytes:
    """A digest of JSON that does not depend on the order of fields."""
    return sha256(msgspec.json.encode(body, order="sorted")).digest()


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A read of a dialogue (or of an evaluation): what it showed, between which moments."""

    stream: str
    began: int
    ended: int
    digest: bytes | None
    etag: str | None
    shown: str


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What deltas a client got of a turn's reply, over all connections that it needed.

    `whole`: one connection from the first event to `done`.
    """

    turn_id: str
    text: str
    whole: bool


class Journal:
    """All that a run's clients saw. `tick` gives moments, one after another."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.seen: list[Seen] = []
        self.heard: list[Heard] = []
        self.actions: Counter[str] = Counter()
        self.answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.faults: Counter[str] = Counter()
        self._moments = count(1)
        self._requests = count(1)

    def next_request_id(self) -> str:
        """An id that no other request of the run has."""
        return str(UUID(int=next(self._requests)))

    def tick(self) -> int:
        """The present moment."""
        return next(self._moments)

    def begin(self, request: Request) -> Asked:
        """A request that is about to be made for the first time."""
        asked = Asked(request=request)
        self.asked.append(asked)
        return asked
