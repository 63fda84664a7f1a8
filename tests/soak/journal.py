"""The requests and answers of a run's clients, to compare them with the log afterwards."""

from collections import Counter, defaultdict
from hashlib import sha256
from itertools import count
from typing import Any, Literal
from uuid import UUID

import msgspec

from service.model.errors import LEARNER_SENTENCES, SERVICE_STOPPING

Kind = Literal["open", "say", "retry", "cancel", "delete", "evaluate"]

MAX_DETAIL = 3_000
NO_RETRY = "nothing_to_retry"
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
        """The path of its conversations."""
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
        """The JSON body."""
        return {} if self.text is None else {"message": self.text}


class Answer(msgspec.Struct, kw_only=True):
    """The answer to one attempt of a request.

    Attributes:
        began: When the attempt began, by the journal's clock; `ended` likewise.
        request_id: The client's id of the attempt; empty if it gave none.
        status: 0 if no complete answer arrived; `lost` then has the reason.
        streamed: Whether it came as server-sent events; `status` is then the plain answer's.
        accepted: Data of the event `accepted`.
        pieces: Texts of the deltas, since the last `restarted` if there was one.
        number: How often the turn had been taken over by then, as the ids say.
        first_id: Id of the last event that the client had before; `last_id` that it has now.
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
    number: int = 0
    first_id: int = 0
    last_id: int = 0

    @property
    def code(self) -> str:
        """The error's code, empty where there is none."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""

    @property
    def summary(self) -> str:
        """The answer in short, for counting."""
        if self.lost:
            return self.lost
        return f"{self.status} {self.code}".strip()


class Exchange(msgspec.Struct, kw_only=True, eq=False):
    """A request and the answers to all its attempts. `outcome` is the first final answer."""

    request: Request
    answers: list[Answer] = []
    outcome: Answer | None = None

    @property
    def over(self) -> bool:
        """Whether another attempt would change nothing."""
        refused = any(a.status in _REFUSED or a.code == NO_RETRY for a in self.answers)
        return self.outcome is not None or refused

    @property
    def in_doubt(self) -> bool:
        """Whether the service may have recorded the request without a final answer."""
        return any(
            a.lost or a.code == "database_unavailable" or is_stopping(a) for a in self.answers
        )

    def add(self, answer: Answer) -> None:
        """Adds an answer.

        Raises:
            Violation: It contradicts an earlier answer, or the contract.
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
        turns = {str(a.accepted) for a in self.answers if a.accepted}
        if len(turns) > 1:
            raise Violation("a request leads to one turn", f"{self.request}\n{turns}")
        if answer.accepted and answer.accepted["turn_id"] is None:
            raise Violation("a turn has an id", answer)

    def _check_refusal(self, answer: Answer) -> None:
        if answer.lost or answer.code in _NOT_TAKEN or is_stopping(answer):
            return
        allowed = {
            "open": (),
            "say": (404, 412),
            "retry": (404, 409),
            "cancel": (404,),
            "delete": (404,),
            "evaluate": (),
        }[self.request.kind]
        if answer.status == 409 and answer.code != NO_RETRY:
            allowed = ()
        if answer.status == 422 and self.request.forbidden:
            return
        if self.outcome is not None or answer.status not in allowed:
            raise Violation(
                "only answers of the contract are given",
                f"{self.request}\n{shorten(answer)}\nbefore: {shorten(self.outcome)}",
            )


def _difference(one: Answer, other: Answer) -> str:
    """How two answers differ; `turn_is_over` is not recorded, so its reference may."""
    if not (one.streamed or other.streamed) and one.status != other.status:
        return "status"
    if one.etag and other.etag and one.etag != other.etag:
        return "ETag"
    if one.code == other.code == "turn_is_over":
        return ""
    return "" if one.body == other.body else "body"


def is_outcome(request: Request, answer: Answer) -> bool:
    """Whether the answer is final: every later one must be the same."""
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
    """Whether a stopping process refused the request and recorded nothing."""
    recorded = LEARNER_SENTENCES[SERVICE_STOPPING]
    return answer.code == SERVICE_STOPPING and answer.body["error"] != recorded


def shorten(answer: Answer | None) -> str:
    """An answer as evidence."""
    return str(answer)[: MAX_DETAIL // 3]


def canonical(body: Any) -> bytes:
    """A digest of JSON that does not depend on the order of fields."""
    return sha256(msgspec.json.encode(body, order="sorted")).digest()


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A read of a dialogue or an evaluation, with its begin and end by the journal's clock."""

    stream: str
    began: int
    ended: int
    digest: bytes | None
    etag: str | None
    excerpt: str


class ReceivedText(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a turn's reply that a client got in deltas, over all its connections.

    `whole`: in one connection, from the first event to `done`. `number` counts how often the turn
    had been taken over by then.
    """

    turn_id: str
    text: str
    whole: bool
    number: int = 0


class Journal:
    """The requests, answers and reads of a run, with a logical clock (`tick`)."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.reads: list[Read] = []
        self.received: list[ReceivedText] = []
        self.actions: Counter[str] = Counter()
        self.answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.faults: Counter[str] = Counter()
        self._ticks = count(1)
        self._requests = count(1)

    def next_request_id(self) -> str:
        """An id that no other request of the run has."""
        return str(UUID(int=next(self._requests)))

    def tick(self) -> int:
        """The next time of the logical clock."""
        return next(self._ticks)

    def begin(self, request: Request) -> Exchange:
        """Begins an exchange with a new request."""
        exchange = Exchange(request=request)
        self.exchanges.append(exchange)
        return exchange
