"""The facts of a step beside its text, in words."""

from collections.abc import Iterator
from typing import Any

from eventstore.readable_numbers import counted
from service.audit.conversation_endings import ending_of
from service.audit.replay_steps import Step

Detail = tuple[str, str]
"""A label and its value."""

ShownMessage = tuple[dict[str, Any], str | None]
"""A message, and its state in words."""


def who(step: Step) -> str:
    """The actor of a step, in words."""
    actor = step.actor
    name = f"{actor['role']} {actor['id']}" if actor["id"] is not None else str(actor["role"])
    real = actor.get("real_user_id")
    return name if real is None else f"{name}, in fact user {real}"


def with_states(messages: list[dict[str, Any]]) -> Iterator[ShownMessage]:
    """The messages of the answer to the learner, each with what there is to say of it."""
    prompt, *said = messages
    yield prompt, "hidden by clients"
    for message in said:
        state = "incomplete" if message.get("incomplete") else message.get("state")
        yield message, f"{state}: {message['code']}" if state else None


def details(step: Step) -> list[Detail]:
    """The facts of a step, in the order of the page."""
    data = step.data
    answer = data.get("reply") or data.get("judgement") or data
    reply = [*_answered(answer), *_figures(answer), *_attempts(answer)]
    return [
        *_reasons(data),
        *_request(data),
        *reply,
        *_assessed(data),
        *_edited(data),
        *_read(data),
    ]


def _reasons(data: dict[str, Any]) -> Iterator[Detail]:
    for name, label in (("code", "Code"), ("reason", "Reason"), ("rule", "Rule")):
        if data.get(name):
            yield label, ending_of(data) or str(data[name])
    if data.get("detail"):
        yield "What was wrong", str(data["detail"])
    if "vote" in data:
        yield "Vote", f"{data['vote']}, by user {data['user_id']}"
    if "texts" in data:
        yield "Texts deleted", str(data["texts"])


def _request(data: dict[str, Any]) -> Iterator[Detail]:
    """The facts of a request to a model, before its answer."""
    if "deadline_at" in data:
        yield "Model asked", str(data["model"])
    if "experience_version" in data:
        yield "Version of the experience", str(data["experience_version"])


def _answered(answer: dict[str, Any]) -> Iterator[Detail]:
    if requested := answer.get("model_requested"):
        fallback = " (the fallback)" if answer.get("fallback") else ""
        yield "Model", f"{answer['model']}{fallback}, asked for {requested}"
    if prompt := answer.get("prompt"):
        yield "Prompt", f"{prompt['name']}, SHA-256 {prompt['sha256'][:16]}…"
    if answer.get("stop_reason"):
        yield "Ended by", str(answer["stop_reason"])
    if (context := answer.get("context")) and context["messages_left_out"]:
        yield (
            "Left out of what the model was given",
            counted(context["messages_left_out"], "message"),
        )


def _figures(answer: dict[str, Any]) -> Iterator[Detail]:
    if usage := answer.get("usage"):
        yield "Tokens", _tokens(usage)
    if answer.get("cost_microusd") is not None:
        yield "Cost", f"${answer['cost_microusd'] / 1_000_000:.6f}"
    if answer.get("first_token_ms") is not None:
        yield "First words after", f"{answer['first_token_ms']} ms"
    if answer.get("duration_ms") is not None:
        yield "Took", f"{answer['duration_ms']} ms"


def _attempts(answer: dict[str, Any]) -> Iterator[Detail]:
    for number, attempt in enumerate(answer.get("attempt_records", ()), 1):
        parts = [attempt["model"], attempt["outcome"]]
        if attempt.get("duration_ms") is not None:
            parts.append(f"{attempt['duration_ms']} ms")
        if attempt.get("waited_ms"):
            parts.append(f"after a pause of {attempt['waited_ms']} ms")
        if attempt.get("usage"):
            parts.append(_tokens(attempt["usage"]))
        if attempt.get("provider_request_id"):
            parts.append(str(attempt["provider_request_id"]))
        if attempt.get("detail"):
            parts.append(str(attempt["detail"]))
        yield f"Attempt {number}", ", ".join(parts)


def _assessed(data: dict[str, Any]) -> Iterator[Detail]:
    if "covered" in data:
        covered = (f"{one['objective']} by message {one['message_id']}" for one in data["covered"])
        yield "Objectives covered", "; ".join(covered) or "none"


def _edited(data: dict[str, Any]) -> Iterator[Detail]:
    if data.get("type") not in ("experience_created.v1", "experience_edited.v1"):
        return
    for name in ("title", "workflow_state", "learning_objective", "pedagogical_guidance", "facts"):
        yield name.replace("_", " ").capitalize(), str(data[name])


def _read(data: dict[str, Any]) -> Iterator[Detail]:
    if "what" in data:
        yield "What was read", str(data["what"])


def _tokens(usage: dict[str, Any]) -> str:
    cached = usage.get("cache_read_input_tokens", 0)
    written = usage.get("cache_creation_input_tokens", 0)
    return (
        f"{usage.get('input_tokens', 0)} in, {usage.get('output_tokens', 0)} out, "
        f"{cached} from the cache, {written} into it"
    )
