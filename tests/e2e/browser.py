"""A person at the product: Chromium on a desktop or a phone, in either language and theme."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.product import ROOT, Product
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
SCREENSHOTS = ROOT / "artefacts" / "screenshots"
WAIT_MS = 15_000
# The model runs on the same two cores as everything else.
ANSWER_MS = 90_000

USERNAME = "ada"
PASSWORD = "a lighthouse keeper's sentence"


@dataclass(slots=True)
class Person:
    """One browser window; what its console complained about is kept."""

    product: Product
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list[str])

    def go(self, path: str) -> None:
        self.page.goto(self.product.url + path)

    def shoot(self, name: str) -> None:
        """Keeps a picture of the page as it is."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")

    def sign_in(self) -> None:
        """As the first administrator, through the same route as the form."""
        self.go("/login")
        status = self.page.evaluate(
            """async ([username, password]) => (await fetch("/api/auth/login", {
                method: "POST",
                headers: {"content-type": "application/json"},
                body: JSON.stringify({username, password}),
            })).status""",
            [USERNAME, PASSWORD],
        )
        assert status in (200, 201), f"signing in answered {status}"

    # -- chat ------------------------------------------------------------------------------
    def ask(self, text: str) -> None:
        """Types a message and sends it with Enter."""
        box = self.page.get_by_label("Message", exact=True)
        box.fill(text)
        box.press("Enter")

    @property
    def answer(self) -> Locator:
        """The newest answer."""
        return self.page.get_by_role("article", name="Answer").last

    @property
    def answer_text(self) -> str:
        return self.answer.locator(".prose").inner_text()

    def wait_for_words(self, count: int) -> str:
        """Until the answer that is being written has so many characters; returns it."""
        self.page.wait_for_function(
            """count => {
                const all = document.querySelectorAll('article[aria-busy] .prose');
                return (all.item(all.length - 1)?.innerText.length ?? 0) >= count;
            }""",
            arg=count,
            timeout=ANSWER_MS,
        )
        return self.answer_text

    def wait_for_end(self) -> str:
        """Until the newest answer is complete; returns it."""
        expect(self.answer).to_have_attribute("aria-busy", "false", timeout=ANSWER_MS)
        return self.answer_text


# In the page: what is kept of the answer that it shows last.
STORED_ANSWER = """async () => {
    const id = location.pathname.split("/").pop();
    const page = await (await fetch(`/api/conversations/${id}/messages`)).json();
    return page.items.at(-1).content;
}"""


def words_of(text: str) -> str:
    """The words without Markdown's signs, the targets of its links, and spaces."""
    without_links = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"[^\w]", "", re.sub(r"^\s*\d+\.", "", without_links, flags=re.MULTILINE))


@contextmanager
def chromium(playwright: Playwright) -> Generator[Browser]:
    """The distribution's browser."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    try:
        yield browser
    finally:
        browser.close()


@contextmanager
def person(
    browser: Browser,
    product: Product,
    *,
    device: dict[str, Any] = DESKTOP,
    locale: str = "en-US",
    theme: Any = "light",
) -> Generator[Person]:
    """A new window with nothing stored; a script error in it fails the test at its end."""
    context = browser.new_context(locale=locale, color_scheme=theme, **device)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    somebody = Person(product, context, page)
    page.on("pageerror", lambda error: somebody.complaints.append(str(error)))
    try:
        yield somebody
        assert somebody.complaints == []
    finally:
        context.close()
