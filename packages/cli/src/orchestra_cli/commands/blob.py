"""`orchestra blob`: values too large for JSON."""

import contextlib
import mimetypes
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestra_cli import ids, output, transfer
from orchestra_cli.errors import CliError, UsageError
from orchestra_cli.session import Session, application, command, confirm

app = application("Store large inputs, and fetch large results.")

ANY_TYPE = "application/octet-stream"
MOST = 100_000
COLUMNS = {
    "blob": "BLOB",
    "size": "BYTES",
    "media_type": "TYPE",
    "created_at": "STORED",
    "in_use": "IN USE",
    "kept_until": "KEPT UNTIL",
}
Name = Annotated[str, typer.Argument(metavar="BLOB", help="Its name, the SHA-256 of its content.")]


@command(app, "put")
def put(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file; `-` is standard input.")],
    media_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="E.g. application/pdf.")
    ] = None,
) -> None:
    """Store a file. Prints the value that refers to it, for an input or a part of one."""
    if file == "-":
        content = transfer.pieces(sys.stdin.buffer)
        stored = session.api.upload(
            "/api/blobs", content, size=None, media_type=media_type or ANY_TYPE, sha256=""
        )
    else:
        path = Path(file).expanduser()
        kind = media_type or mimetypes.guess_type(path.name)[0] or ANY_TYPE
        try:
            name = transfer.digest(path)
            with path.open("rb") as opened:
                stored = session.api.upload(
                    "/api/blobs",
                    transfer.pieces(opened),
                    size=path.stat().st_size,
                    media_type=kind,
                    sha256=name,
                )
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    if session.json:
        output.write_json(stored)
    else:
        output.write(f'{{"$blob": "{stored["blob"]}"}}\n')


@command(app, "get")
def get(
    session: Session,
    blob: Name,
    to: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; `-` is standard output."),
    ] = "-",
) -> None:
    """Fetch a blob, and check that it is what its name says."""
    if to == "-":
        checked = transfer.Checked(sys.stdout.buffer.write)
        session.api.download(f"/api/blobs/{blob}", checked)
        sys.stdout.buffer.flush()
        _check(checked, blob)
        return
    path = Path(to).expanduser()
    # Beside its place until it is whole.
    part = path.with_name(f".{path.name}.{ids.new_key()}")
    try:
        with part.open("xb") as opened:
            checked = transfer.Checked(opened.write)
            session.api.download(f"/api/blobs/{blob}", checked)
        _check(checked, blob)
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{to} cannot be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


@command(app, "list")
def list_blobs(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 50,
    everybody: Annotated[
        bool, typer.Option("--all", help="Those of everybody, for administrators.")
    ] = False,
) -> None:
    """List what you have stored, the newest first."""
    columns = COLUMNS | ({"owner": "OWNER"} if everybody else {})
    query = {"everybody": "true"} if everybody else {}
    session.show_list(list(session.api.pages("/api/blobs", query, limit)), columns)


@command(app, "show")
def show(session: Session, blob: Name) -> None:
    """Show what is known of a blob, and the tasks that refer to it."""
    session.show(session.api.request("GET", f"/api/blobs/{blob}/metadata"))


@command(app, "delete")
def delete(
    session: Session,
    blob: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a blob that no task refers to; what others have stored too stays theirs."""
    confirm(f"Delete the blob {blob}?", yes=yes)
    session.api.request("DELETE", f"/api/blobs/{blob}")
    output.note("deleted")


def _check(checked: transfer.Checked, blob: str) -> None:
    if checked.sha256 != blob:
        raise CliError("What arrived is not what the name says; try again.")
