"""`colloquy learner`."""

from collections.abc import Iterator
from pathlib import Path

import click

from eventstore.readable_numbers import counted
from service.access_log import OPERATOR, Reader
from service.audit.service import Subject
from service.cli.context import ID, in_account, printable, with_database
from service.cli.output_file import write_whole
from service.cli.privacy.privacy_services import open_privacy_services, with_reason
from service.cli.reader_options import as_reader, reader_of, record_reading
from service.cli.terminal import print_json, print_line, warn
from service.errors import LegalHold
from service.privacy.erasure import Erased, Inventory
from service.privacy.learner_record import LearnerRecord, RecordedConversation, RecordedRead
from service.privacy.learner_record_page import record_page
from service.process.database import Database
from service.settings import Settings


@click.group()
def learner() -> None:
    """The record of a learner, and its erasure."""


@learner.command()
@click.argument("user_id", metavar="USER", type=ID)
@with_reason
@click.option("--yes", is_flag=True, help="Do not ask.")
@in_account
def erase(account: int, user_id: int, reason: str, yes: bool) -> None:
    """Delete a learner's texts and name for ever, and revoke their tokens.

    First shows what will be deleted. Refused while the learner is under a legal hold.
    """

    async def work(settings: Settings, database: Database) -> Erased:
        async with open_privacy_services(database.url) as services:
            inventory = await services.erasure.inventory(account, user_id)
            if inventory.holds:
                raise LegalHold(user_id, inventory.holds)
            subject, reader = Subject(learner_id=user_id), reader_of(reason)
            await record_reading(settings, database.url, account, reader, "learner erase", subject)
            warn(_inventory_line(inventory))
            if not yes:
                click.confirm("This cannot be undone. Go on?", abort=True, err=True)
            warn("stopping turns under way, then erasing …")
            return await services.erasure.erase(account, user_id, reason, OPERATOR)

    done = with_database(work)
    print_line(
        f"user {user_id} is erased: {counted(done.texts, 'text')} of "
        f"{counted(done.conversations, 'conversation')}, {counted(done.names, 'name')} and "
        f"{counted(done.identities, 'identity')} are deleted, "
        f"{counted(done.tokens, 'token')} revoked"
    )


def _inventory_line(inventory: Inventory) -> str:
    return (
        f"user {inventory.user_id} ({printable(inventory.name)}): "
        f"{counted(inventory.texts, 'text')}, "
        f"{counted(inventory.conversations, 'conversation')}, "
        f"{counted(inventory.identities, 'identity')}, "
        f"{counted(inventory.tokens, 'working token')}"
    )


@learner.command()
@click.argument("user_id", metavar="USER", type=ID)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="As a page, here.")
@as_reader
@in_account
def record(account: int, user_id: int, as_json: bool, html: Path | None, reader: Reader) -> None:
    """Show what is kept about a learner, and who has read it; the read is recorded."""
    if as_json and html:
        raise click.UsageError("give one of --json and --html")

    async def work(settings: Settings, database: Database) -> LearnerRecord:
        async with open_privacy_services(database.url) as services:
            learner_record = await services.records.of(account, user_id, reasons=False)
        subject = Subject(learner_id=user_id)
        await record_reading(settings, database.url, account, reader, "learner record", subject)
        return learner_record

    learner_record = with_database(work)
    if html:
        write_whole(html, record_page(learner_record), 0o600)  # it contains a learner's texts
        print_line(f"written to {html}")
    elif as_json:
        print_json(learner_record)
    else:
        for line in record_lines(learner_record):
            print_line(line)


def record_lines(record: LearnerRecord) -> Iterator[str]:
    """A learner's record in lines for a terminal."""
    yield f"user {record.user_id} ({printable(record.name)}), as of {record.made_at}"
    for conversation in record.conversations:
        yield f"  {_conversation(conversation)}"
        for vote in conversation.votes:
            words = f": {printable(vote.words)}" if vote.words else ""
            yield f"    {vote.vote} by user {vote.voter_id} on {vote.voted_at}{words}"
    for hold in record.holds:
        ended = f"released {hold.released_at}" if hold.released_at else "stands"
        yield f"  legal hold {hold.id}, placed {hold.placed_at}, {ended}"
    for erasure in record.erasures:
        texts = counted(erasure.texts, "text")
        yield f"  erased {erasure.erased_at}, {texts} deleted: {printable(erasure.reason)}"
    for read in record.reads:
        yield f"  {_reading(read)}"
    if not record.conversations:
        yield "  no conversations"
    if not record.reads:
        yield "  nobody has read it before"


def _conversation(conversation: RecordedConversation) -> str:
    title = printable(conversation.experience_title or f"experience {conversation.experience_id}")
    words = (
        "words kept"
        if conversation.text_kept
        else f"words deleted {conversation.text_removed_at or ''}".strip()
    )
    ended = f"completed {conversation.completed_at}" if conversation.completed_at else "active"
    return (
        f"conversation {conversation.id} (course {conversation.course_id}, {title}): "
        f"began {conversation.created_at}, {ended}, "
        f"{counted(conversation.messages_by_learner, 'message')} by the learner and "
        f"{conversation.messages_by_model} by the model, "
        f"{counted(len(conversation.evaluations), 'evaluation')}, {words}"
    )


def _reading(read: RecordedRead) -> str:
    """Who read what and when, worded as on the page."""
    who = printable(read.reader_name or "")
    if read.reader_id is not None:
        who = f"{who} (user {read.reader_id}, {read.role})".strip()
    else:
        who = who or f"an {read.role} of the service's machine" if read.role == "operator" else who
    if read.acting_user_id is not None:
        who += f", in whose place user {read.acting_user_id}"
    of = "" if read.course_id is None else f" of course {read.course_id}"
    of = of if read.conversation_id is None else f" of conversation {read.conversation_id}"
    what = printable(read.what.removesuffix(" conversation")) or "unknown"
    return f"read {read.read_at} by {who or read.role}: {what}{of}"
