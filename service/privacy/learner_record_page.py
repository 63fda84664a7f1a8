"""A learner's record as one HTML page without external resources."""

from collections.abc import Iterable, Sequence
from html import escape

from service.html_page import HtmlPage
from service.privacy.learner_record import LearnerRecord, RecordedConversation, RecordedRead

PAGE = HtmlPage("service.privacy", "learner_record_page")


def record_page(record: LearnerRecord) -> bytes:
    """The page. All texts are escaped."""
    sections = (
        _table(
            "Conversations",
            ("Number", "Experience", "Began", "Completed", "Messages", "Evaluated", "Words"),
            (_conversation(one) for one in record.conversations),
        ),
        _table("Votes", ("Conversation", "When", "By", "Vote", "Words"), _votes(record)),
        _table(
            "Who has read it",
            ("When", "Who", "Role", "What", "Conversation"),
            (_read(one) for one in record.reads),
        ),
        _table(
            "Legal holds",
            ("Number", "Placed", "Released", "Why"),
            ((h.id, h.placed_at, h.released_at or "stands", h.reason) for h in record.holds),
        ),
        _table(
            "Erasures",
            ("When", "Texts removed", "Why"),
            ((e.erased_at, e.texts, e.reason) for e in record.erasures),
        ),
    )
    return PAGE.render(
        user_id=escape(str(record.user_id)),
        name=escape(record.name),
        made_at=escape(record.made_at),
        sections="\n".join(sections),
    )


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = "\n".join(_row(row) for row in rows)
    head = f"<h2>{escape(title)}</h2>"
    if not body:
        return f'{head}\n<p class="none">None.</p>'
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    return f"{head}\n<table>\n<thead><tr>{names}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _row(values: Sequence[object]) -> str:
    cells = ("" if value is None else escape(str(value)) for value in values)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _conversation(one: RecordedConversation) -> tuple[object, ...]:
    words = "kept" if one.text_kept else f"deleted {one.text_removed_at or ''}".strip()
    return (
        one.id,
        f"{one.experience_title or one.experience_id} (course {one.course_id})",
        one.created_at,
        one.completed_at or "active",
        f"{one.messages_by_learner} by the learner, {one.messages_by_model} by the model",
        ", ".join(one.evaluations),
        words,
    )


def _votes(record: LearnerRecord) -> Iterable[tuple[object, ...]]:
    for one in record.conversations:
        for vote in one.votes:
            yield one.id, vote.voted_at, f"user {vote.voter_id}", vote.vote, vote.words


def _read(one: RecordedRead) -> tuple[object, ...]:
    who = one.reader_name or ""
    if one.reader_id is not None:
        who = f"{who} (user {one.reader_id})".strip()
    if one.acting_user_id is not None:
        who = f"{who}, in whose place user {one.acting_user_id}"
    course = "" if one.course_id is None else f", of course {one.course_id}"
    return one.read_at, who, one.role, f"{one.what}{course}", one.conversation_id
