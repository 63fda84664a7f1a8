"""`colloquy audit verify` and `colloquy audit export`."""

import os
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import click

from eventstore.readable_numbers import counted
from service.access_log import Reader
from service.audit.service import Subject
from service.cli.context import (
    ID,
    check_account,
    in_account,
    owner,
    printable,
    with_database,
)
from service.cli.progress import progress_bar
from service.cli.reader_options import as_reader, reason_required, record_reading
from service.cli.terminal import print_json, print_line, warn
from service.process.database import Database
from service.settings import Settings

if TYPE_CHECKING:
    from eventstore.sealing.signed_checkpoint import VerifierKey
    from eventstore.sealing.verify_log import Verification
    from service.audit.bundle_folder import Selection
    from service.audit.bundle_writer import Exported


class _Checkpoints(click.Path):
    """The size of a checkpoint, or a file or folder with checkpoints."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        if isinstance(value, str) and value.isdecimal():
            return str(ID.convert(value, param, ctx))  # type: ignore[arg-type]  # of any text
        return Path(os.fsdecode(super().convert(value, param, ctx)))


_a_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_a_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_HOW = "give --reason"


@click.command()
@in_account
@click.option("--vkey", type=_a_file, help="Public keys that you have kept, one a line.")
@click.option("--checkpoints", type=_a_folder, help="Checkpoint files that you have kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@as_reader
def verify(
    account: int, vkey: Path | None, checkpoints: Path | None, as_json: bool, reader: Reader
) -> None:
    """Recompute the whole log's proofs; exit code 1 and the first bad position if one fails.

    Hashes every event, and compares the hashes with the stored tree and with all checkpoints, in
    the database and in the files outside it. Compares texts with their events' commitments.
    """

    async def work(settings: Settings, database: Database) -> "Verification":
        from service.access_log import check_reason
        from service.audit.verification import verify_account

        check_reason(reader.reason, _HOW, required=reason_required(settings))
        bar = progress_bar("verifying")
        report = await verify_account(settings, database.url, account, vkey, checkpoints, bar)
        await _record_verification(settings, database.url, account, reader)
        return report

    report = with_database(work)
    if as_json:
        print_json(report)
    else:
        for line in _report_lines(report):
            print_line(line)
    if report.problem is not None:
        raise SystemExit(1)


async def _record_verification(settings: Settings, url: str, account: int, reader: Reader) -> None:
    """Records after the verification, which sees the log unchanged; a damaged log may refuse it."""
    from eventstore.errors import EventStoreError

    try:
        await record_reading(settings, url, account, reader, "audit verify")
    except EventStoreError as error:
        warn(f"colloquy: this verification could not be recorded: {error}")


def _report_lines(report: "Verification") -> list[str]:
    sealed = f"sealed up to {report.sealed}"
    if report.sealed_at:
        sealed += f" at {report.sealed_at:%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        f"account {report.account_id}: {counted(report.events, 'event')}, "
        f"{counted(report.texts, 'text')}, {report.removed} removed as the log says",
        f"{sealed}; not sealed yet: {counted(report.unsealed, 'event')}",
        f"checkpoints: {report.checkpoints} in the database, {report.outside} outside it in "
        f"{report.folder}",
    ]
    if report.log:
        lines.insert(1, f"log {report.log}")
    if report.outside_upto < report.sealed:
        lines.append(
            "not compared with anything outside the database: "
            + _range(report.outside_upto + 1, report.sealed)
        )
    if report.problem is None:
        return [*lines, "verified: nothing is wrong in what was compared"]
    where = "" if report.position is None else f"position {report.position}: "
    return [
        *lines,
        f"NOT VERIFIED ({counted(report.findings, 'finding')}). First: {where}"
        + shorten(printable(report.problem), 500, placeholder=" …"),
    ]


def _range(first: int, last: int) -> str:
    return f"event {first}" if first == last else f"events {first} to {last}"


@click.command()
@click.argument("conversation", type=ID, required=False)
@click.option("--course", type=ID, help="All of a course, by its number.")
@click.option("--user", type=ID, help="All of a learner, by their number.")
@click.option("--all", "everything", is_flag=True, help="The whole log.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option("--size", type=ID, help="Up to the checkpoint of this many events.")
@click.option(
    "--prove",
    type=_Checkpoints(exists=True),
    multiple=True,
    metavar="SIZE|PLACE",
    help="Also prove the checkpoint of this many events, or those in a file or folder; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@in_account
@as_reader
def export(
    conversation: int | None,
    course: int | None,
    user: int | None,
    everything: bool,
    out: Path,
    size: int | None,
    prove: tuple[str | Path, ...],
    as_json: bool,
    account: int,
    reader: Reader,
) -> None:
    """Export a CONVERSATION, a course, a learner or all as a bundle that anybody can verify.

    The bundle goes up to a checkpoint, by default the last one. Run an interrupted export again
    to resume it. The bundle's verify_bundle.py needs only Python to verify it.
    """
    selection = _selection(conversation, course, user, everything)

    async def work(settings: Settings, database: Database) -> "Exported":
        from eventstore.sealing.signing_keys import list_keys
        from service.audit.bundle_export import export_bundle
        from service.audit.sealing import key_place

        place = key_place(settings)
        sizes = _sizes(prove, account, list_keys(place))
        async with owner(database.url) as connection:
            await check_account(connection, account)
        words = f"audit export {selection.kind}" + (f" {selection.id}" if selection.id else "")
        subject = Subject(learner_id=user, conversation_id=conversation, course_id=course)
        await record_reading(settings, database.url, account, reader, words, subject)
        bar = progress_bar("exporting")
        return await export_bundle(
            database.url, place, account, selection, out, size=size, prove=sizes, progress=bar
        )

    done = with_database(work)
    if as_json:
        print_json(done)
    else:
        _print_exported(done)


def _sizes(prove: tuple[str | Path, ...], account: int, keys: "list[VerifierKey]") -> set[int]:
    from service.audit.bundle_checkpoints import sizes_kept

    sizes: set[int] = set()
    for item in prove:
        sizes |= sizes_kept(item, account, keys) if isinstance(item, Path) else {int(item)}
    return sizes


def _print_exported(done: "Exported") -> None:
    print_line(
        f"{printable(done.folder)}: {counted(done.events, 'event')} and "
        f"{counted(done.texts, 'text')}, cut at the checkpoint of "
        + counted(done.tree_size, "event")
        + (", finished after an interruption" if done.resumed else "")
        + f"; not sealed then and so not exported: {counted(done.unsealed, 'event')}"
    )
    if done.removed_later:
        warn(
            "texts were deleted since that checkpoint: if they are of this bundle, it lacks the "
            "events that say so; export it again once more events are sealed"
        )


def _selection(
    conversation: int | None, course: int | None, user: int | None, everything: bool
) -> "Selection":
    from service.audit.bundle_folder import Selection

    chosen = (
        Selection("conversation", conversation),
        Selection("course", course),
        Selection("user", user),
    )
    given = [selection for selection in chosen if selection.id is not None]
    given += [Selection("all")] if everything else []
    if len(given) != 1:
        raise click.UsageError("give one of CONVERSATION, --course, --user and --all")
    return given[0]
