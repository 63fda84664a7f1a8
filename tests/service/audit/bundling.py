"""Makes, verifies and changes bundles for tests."""

import asyncio
import hashlib
import json
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from eventstore.codec import encode
from eventstore.connections import connect
from eventstore.envelope import Actor, Metadata
from eventstore.sealing.signing_keys import list_keys
from service.audit import verify_bundle
from service.audit.bundle_export import export_bundle
from service.audit.bundle_folder import Selection
from service.audit.bundle_writer import Exported
from service.identity.roster import Enrollment, import_roster
from sql.loader import query
from tests.eventstore.building import ACCOUNT
from tests.eventstore.sealing.sealed import Sealed

ALL = Selection("all")
PROGRAM = Path(verify_bundle.__file__)


async def export(
    sealed: Sealed,
    folder: Path,
    selection: Selection = ALL,
    size: int | None = None,
    prove: Collection[int] = (),
) -> Exported:
    """A bundle of the first account."""
    return await export_bundle(
        sealed.url,
        sealed.place,
        ACCOUNT,
        selection,
        folder,
        size=size,
        prove=prove,
        progress=lambda _done, _total: None,
    )


async def verify_alone(folder: Path, scratch: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and output of the program, in a folder and a Python without this project."""
    scratch.mkdir(exist_ok=True)
    shutil.copy(PROGRAM, scratch / "verify_bundle.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "verify_bundle.py", str(folder), "--json", *arguments),
        cwd=scratch,
        env={},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert err == b"", err
    assert process.returncode is not None
    return process.returncode, json.loads(out)


def problem(folder: Path, vkey: Path | None = None, checkpoints: Path | None = None) -> str:
    """The reason for which a bundle is refused; empty if it is verified."""
    try:
        verify_bundle.verify(folder, vkey, checkpoints)
    except (verify_bundle.Wrong, verify_bundle.NoBundle, UnicodeDecodeError) as error:
        return str(error) or repr(error)
    return ""


def vkey_of(sealed: Sealed, folder: Path) -> Path:
    """A file with the log's public keys."""
    path = folder / "auditor.vkeys"
    path.write_text("".join(f"{key}\n" for key in list_keys(sealed.place)))
    return path


def make_anew(folder: Path, **facts: Any) -> None:
    """A forged manifest, which fits the present files."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("digest")
    manifest.update(facts)
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    digest = hashlib.sha256(verify_bundle.dump(manifest)).hexdigest()
    (folder / "manifest.json").write_bytes(verify_bundle.dump({**manifest, "digest": digest}))


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder; the manifest without its time of creation."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    if "manifest.json" in found:
        manifest = json.loads(found["manifest.json"])
        del manifest["created_at"], manifest["digest"]
        found["manifest.json"] = json.dumps(manifest).encode()
    return found


async def erase(url: str, user_id: int) -> None:
    """Erases a learner by the database's function, without ending turns."""
    owner = await connect(url)
    await owner.execute("DELETE FROM read.pending_turns")
    row = Enrollment(course_id=1, user_id=user_id, name="Ada", role="learner", status="active")
    await import_roster(owner, ACCOUNT, [row])
    metadata = encode(Metadata(actor=Actor(None, "operator")))
    await owner.execute("SET colloquy.account = '1'")
    erased = await owner.fetchrow(query("erase_learner"), ACCOUNT, user_id, "asked", metadata, None)
    await owner.close()
    assert erased is not None
    assert erased["outcome"] == "erased"
    assert erased["texts"] > 0
