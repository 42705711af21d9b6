"""People with accounts, signed in by whichever door a test has opened to the api."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from orchestra.features.identity import first_admin_link
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings

PASSWORD = "correct horse battery"
Browser = Callable[[], httpx.AsyncClient]
# Posts a body to a path from a new browser, which has the session that the answer opens.
Enter = Callable[[str, dict[str, str | None]], Awaitable[httpx.AsyncClient]]
SignIn = Callable[..., Awaitable[httpx.AsyncClient]]


@asynccontextmanager
async def browsers(application: Any) -> AsyncGenerator[Browser]:
    """Makes browsers for an application that nobody serves, each with its own cookies."""
    opened: list[httpx.AsyncClient] = []

    def make() -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=application)
        opened.append(httpx.AsyncClient(transport=transport, base_url="https://localhost"))
        return opened[-1]

    yield make
    for client in opened:
        await client.aclose()


def entering(browser: Browser) -> Enter:
    """For browsers that keep their cookies themselves."""

    async def enter(path: str, body: dict[str, str | None]) -> httpx.AsyncClient:
        client = browser()
        answer = await client.post(path, json=body)
        assert answer.is_success, answer.text
        return client

    return enter


async def first_administrator(
    enter: Enter, database: Database, settings: Settings
) -> httpx.AsyncClient:
    """`root`, who has opened the link of a new installation."""
    token = await first_admin_link(database, settings)
    return await enter(
        "/api/auth/setup", {"token": token, "username": "root", "password": PASSWORD}
    )


def signing_in(enter: Enter, root: httpx.AsyncClient) -> SignIn:
    """Makes a person and a browser that is signed in; `root` is there already."""

    async def sign_in(username: str = "ann", role: str = "member") -> httpx.AsyncClient:
        if username == "root":
            return root
        account = {"username": username, "password": PASSWORD, "role": role}
        made = await root.post("/api/users", json=account)
        assert made.status_code == 201, made.text
        return await enter("/api/auth/login", {"username": username, "password": PASSWORD})

    return sign_in
