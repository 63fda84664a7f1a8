"""The provider's moods: a seeded mixture of what a model's API does on good and bad days."""

import random
import re
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec

from tests.fake_anthropic import (
    Behaviour,
    Cut,
    EarlyEnd,
    FakeAnthropic,
    HttpError,
    RawAnswer,
    Received,
    Speech,
    Stall,
    StreamError,
    covering,
    evaluation_speech,
)
from tests.fake_anthropic_behaviours import (
    beginning_bytes,
    event_bytes,
    piece_bytes,
    valid_judgement,
)

Mood = Callable[[Speech], Behaviour]


def _slow(speech: Speech) -> Behaviour:
    return msgspec.structs.replace(speech, first_delay=0.3, delay=0.1)


def _drip(speech: Speech) -> Behaviour:
    pieces = tuple(part for piece in speech.pieces for part in re.findall(r".{1,6}", piece, re.S))
    return msgspec.structs.replace(speech, pieces=pieces, delay=0.06)


def _half(speech: Speech) -> Speech:
    return msgspec.structs.replace(speech, pieces=speech.pieces[: len(speech.pieces) // 2])


def _refusal(speech: Speech) -> Behaviour:
    details = {"type": "refusal", "category": "bio"}
    return msgspec.structs.replace(_half(speech), stop_reason="refusal", stop_details=details)


def _odd_numbers(speech: Speech) -> Behaviour:
    """A whole reply, with other JSON values in two fields."""
    chance = random.Random("".join(speech.pieces))
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "stop_reason", "model")
    return msgspec.structs.replace(
        speech, **{name: chance.choice(ODD_VALUES) for name in chance.sample(names, 2)}
    )


def _cut_characters(speech: Speech) -> Behaviour:
    """Pieces that end within a character, and a character that no text can check."""
    return msgspec.structs.replace(speech, pieces=(*speech.pieces, "\ud83c", "\udf0a", "\0 "))


def _foreign_error(speech: Speech) -> Behaviour:
    error = {"error": {"code": 400, "message": "Context size has been exceeded", "type": "server"}}
    words = b"".join(map(piece_bytes, _half(speech).pieces))
    body = beginning_bytes("llama", speech) + words + event_bytes("error", error)
    return RawAnswer(body, "text/event-stream")


ODD_VALUES: tuple[Any, ...] = (
    7.5,
    -5,
    2**63,
    1e300,
    float("nan"),
    True,
    None,
    "x",
    "",
    [],
    {"n": 7},
)

REPLIES: dict[str, tuple[int, Mood]] = {
    "good": (52, lambda speech: speech),
    "slow": (14, _slow),
    "drip": (10, _drip),
    "overloaded": (3, lambda _: HttpError(529, "overloaded_error")),
    "broken": (3, lambda _: HttpError(500, "api_error")),
    "rate limited": (1, lambda _: HttpError(429, "rate_limit_error", retry_after="1")),
    "spent": (1, lambda _: HttpError(429, "rate_limit_error")),
    "stall before headers": (2, lambda speech: Stall(speech=speech)),
    "stall in stream": (4, lambda speech: Stall(after=2, speech=speech)),
    "cut": (3, lambda speech: Cut(_half(speech))),
    "early end": (2, lambda speech: EarlyEnd(_half(speech))),
    "overloaded in stream": (2, lambda speech: StreamError("overloaded_error", _half(speech))),
    "refusal": (2, _refusal),
    "empty": (1, lambda speech: msgspec.structs.replace(speech, pieces=("",))),
    "odd numbers": (4, _odd_numbers),
    "cut characters": (4, _cut_characters),
    "foreign error": (2, _foreign_error),
}
JUDGEMENTS: dict[str, tuple[int, Mood]] = {
    "good": (60, lambda speech: speech),
    "late": (12, lambda speech: msgspec.structs.replace(speech, first_delay=1.3)),
    "slow": (10, _slow),
    "overloaded": (4, lambda _: HttpError(529, "overloaded_error")),
    "no JSON": (4, lambda _: Speech(pieces=("Covered: ", "all of them!"))),
    "plain text": (2, lambda _: RawAnswer(b"It works!", "text/plain")),
    "stall in stream": (4, lambda speech: Stall(after=1, speech=speech)),
    "cut": (4, lambda speech: Cut(_half(speech))),
    "odd numbers": (4, _odd_numbers),
    "foreign error": (2, _foreign_error),
}


class Provider:
    """Answers every request of the service in a mood drawn from a seeded generator.

    `complaints` has the faults in the service's requests. With `fair`, all answers are good.
    """

    def __init__(self, fake: FakeAnthropic, seed: str) -> None:
        self.moods: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.fair = False
        self._fake = fake
        self._rng = random.Random(seed)
        self._numbers = count(1)
        fake.default = self._reply
        fake.judgement = self._judge

    def _reply(self, received: Received) -> Behaviour:
        # Thousands of whole conversations need not be kept.
        self._fake.requests[-1] = msgspec.structs.replace(received, body={}, headers={})
        messages = received.body["messages"]
        self._check(messages)
        question = _text_of(messages[-1])
        words = f"Reply {next(self._numbers)} to “{question}”: what makes you think so?"
        pieces = tuple(re.findall(r"\S+\s*", words))
        return self._in_a_mood("reply", REPLIES, Speech(pieces=pieces))

    def _judge(self, received: Received) -> Behaviour:
        self._fake.judgements[-1] = msgspec.structs.replace(received, body={}, headers={})
        if "covered" in received.body["output_config"]["format"]["schema"]["properties"]:
            return self._in_a_mood("assessment", JUDGEMENTS, self._assessment(received))
        return self._in_a_mood("evaluation", JUDGEMENTS, self._evaluation(received))

    def _assessment(self, received: Received) -> Speech:
        blocks = received.body["messages"][0]["content"]
        still_open = re.findall(r"\d+", blocks[-1]["text"].partition(".")[0])
        learners = [
            n for n, block in enumerate(blocks[:-1], 1) if 'from="learner"' in block["text"]
        ]
        covered = [int(n) for n in still_open if self._rng.random() < 0.15]
        return covering(*((objective, self._rng.choice(learners)) for objective in covered))

    def _evaluation(self, received: Received) -> Speech:
        plain = msgspec.json.decode("".join(valid_judgement(received).pieces))
        number = len(plain["learning_objectives_evaluation"])
        return evaluation_speech(number, summary=f"Evaluation {next(self._numbers)}.")

    def _in_a_mood(self, of: str, moods: dict[str, tuple[int, Mood]], speech: Speech) -> Behaviour:
        if self.fair:
            return speech
        weights = [weight for weight, _ in moods.values()]
        (name,) = self._rng.choices(list(moods), weights)
        self.moods[f"{of}: {name}"] += 1
        return moods[name][1](speech)

    def _check(self, messages: list[dict[str, Any]]) -> None:
        roles = [message["role"] for message in messages]
        if roles != [("user", "assistant")[n % 2] for n in range(len(roles))]:
            self.complaints.append(f"the roles are {roles}")
        if roles[-1] != "user":
            self.complaints.append("the last message is the model's own")
        texts = [_text_of(message) for message in messages[2:]]
        for question, reply in zip(texts[::2], texts[1::2], strict=False):
            if not _answers(reply, question):
                self.complaints.append(f"“{reply}” stands after “{question}”")


def _answers(reply: str, question: str) -> bool:
    """Whether it is a reply to that, or the beginning of one."""
    beginning = re.sub(r"\d+", "#", reply.strip(), count=1)
    return question in reply or f"Reply # to “{question}”".startswith(beginning)


def _text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
