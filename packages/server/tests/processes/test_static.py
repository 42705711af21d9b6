"""The web applications: pages for every address of theirs, files that are kept, nothing else."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from orchestra.processes.static import StaticSite

pytestmark = pytest.mark.anyio


@pytest.fixture
def site(tmp_path: Path) -> StaticSite:
    for name in ("user", "admin"):
        assets = tmp_path / name / "assets"
        assets.mkdir(parents=True)
        (tmp_path / name / "index.html").write_text(f"<title>{name}</title>")
        (assets / "app-Ab12.js").write_text(f"console.log('{name}')" * 50)
        (assets / "app-Ab12.js.gz").write_bytes(gzip.compress(b"small"))
    (tmp_path / "secret.txt").write_text("secret")
    return StaticSite({"": tmp_path / "user", "/admin": tmp_path / "admin"})


async def ask(
    site: StaticSite, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asked = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    await site({"path": path, "method": method, "headers": asked}, None, send)
    answered = {name.decode(): text.decode() for name, text in sent[0]["headers"]}
    return sent[0]["status"], answered, sent[1]["body"]


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/", b"user"),
        ("/chat/0192", b"user"),
        ("/index.html", b"user"),
        ("/admin", b"admin"),
        ("/admin/", b"admin"),
        ("/admin/users/5", b"admin"),
        ("/administrator", b"user"),
    ],
)
async def test_every_address_of_an_application_is_its_page(
    site: StaticSite, path: str, title: bytes
) -> None:
    status, headers, body = await ask(site, path)
    assert (status, title in body) == (200, True)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/assets/gone.js", "/../secret.txt", "/assets/../../secret.txt", "/favicon.ico"]
)
async def test_what_is_not_there_is_not_found(site: StaticSite, path: str) -> None:
    status, headers, _ = await ask(site, path)
    assert (status, headers["content-type"]) == (404, "application/problem+json")


async def test_files_named_by_their_content_are_kept_for_ever(site: StaticSite) -> None:
    status, headers, body = await ask(site, "/admin/assets/app-Ab12.js")
    assert (status, b"admin" in body) == (200, True)
    assert "immutable" in headers["cache-control"]
    assert headers["content-type"].startswith("text/javascript")


async def test_a_page_that_has_not_changed_is_not_sent_again(site: StaticSite) -> None:
    _, headers, _ = await ask(site, "/")
    status, again, body = await ask(site, "/", if_none_match=headers["etag"])
    assert (status, again["etag"], body) == (304, headers["etag"], b"")


async def test_a_compressed_file_is_sent_to_who_takes_it(site: StaticSite) -> None:
    path = "/assets/app-Ab12.js"
    _, headers, body = await ask(site, path, accept_encoding="br, gzip;q=0.8")
    assert (headers["content-encoding"], gzip.decompress(body)) == ("gzip", b"small")
    _, headers, _ = await ask(site, path, accept_encoding="gzip;q=0, br")
    assert "content-encoding" not in headers


async def test_head_has_the_length_and_no_body(site: StaticSite) -> None:
    _, plain, body = await ask(site, "/")
    status, headers, nothing = await ask(site, "/", method="HEAD")
    assert (status, nothing) == (200, b"")
    assert headers["content-length"] == plain["content-length"] == str(len(body))
