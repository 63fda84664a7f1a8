"""Verifies a log with the keys and files of the settings or of an auditor."""

from pathlib import Path

from eventstore.connections import connect
from eventstore.errors import NoteInvalid
from eventstore.sealing.signed_checkpoint import VerifierKey, parse_verifier_key
from eventstore.sealing.signing_keys import list_keys
from eventstore.sealing.verify_log import Progress, TrustAnchors, Verification, verify_log
from projections.parallel_build import silent
from service.audit import verify_bundle
from service.audit.sealing import checkpoint_folder, key_place
from service.errors import BadRequest, UnknownAccount
from service.file_work import reason_of
from service.settings import Settings
from sql.loader import query


async def verify_account(
    settings: Settings,
    url: str,
    account_id: int,
    vkey: Path | None = None,
    checkpoints: Path | None = None,
    progress: Progress = silent,
) -> Verification:
    """Verifies an account's log as the auditor's role sees it.

    Args:
        vkey: A file of public keys, in place of the list beside the signing key.
        checkpoints: A folder of checkpoints, laid out like the sealer's, in place of the
            settings' folder.

    Raises:
        BadRequest: The file holds something else than keys, or the folder has files that would
            not be read.
        UnknownAccount: There is no such account.
    """
    folder = checkpoints or checkpoint_folder(settings)
    if checkpoints is not None:
        _check_files(checkpoints, account_id)
    keys = read_keys(vkey) if vkey else list_keys(key_place(settings))
    trusted = TrustAnchors(keys, folder / str(account_id), required=checkpoints is not None)
    connection = await connect(url, "colloquy_auditor")
    try:
        if await connection.fetchval(query("get_log_head"), account_id) is None:
            raise UnknownAccount(f"there is no account {account_id}: see `colloquy account list`")
        return await verify_log(connection, account_id, trusted, progress)
    finally:
        await connection.close()


def _check_files(folder: Path, account_id: int) -> None:
    """Refuses files that would not be read: their checkpoints could not reveal a fork."""
    try:
        files = verify_bundle.kept_files(folder, account_id)
    except verify_bundle.Wrong as error:
        raise BadRequest(str(error)) from error
    for path in files:
        if path.parent == folder:
            raise BadRequest(
                f"{path} is not read: the files belong into {folder / str(account_id)}"
            )


def read_keys(path: Path) -> list[VerifierKey]:
    """The public keys in a file, one per line; lines with # are comments.

    Raises:
        BadRequest: The file cannot be read, holds something else, or has no key.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
        keys = [parse_verifier_key(line) for line in lines if line and not line.startswith("#")]
    except (OSError, UnicodeDecodeError, NoteInvalid) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise BadRequest(f"{path}: {reason}") from error
    if not keys:
        raise BadRequest(f"{path} holds no key")
    return keys
