"""axe-core finds no breach of WCAG 2.2 AA on the main pages, in both themes and sizes."""

from typing import Any

import pytest
from e2e.browser import DESKTOP, PHONE, Person, person
from e2e.conftest import OpenWindow
from e2e.product import ROOT, Product
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOKS = [
    pytest.param(DESKTOP, "en-US", "light", id="desktop-en-light"),
    pytest.param(DESKTOP, "en-US", "dark", id="desktop-en-dark"),
    pytest.param(PHONE, "zh-CN", "dark", id="phone-zh-dark"),
]
PAGES = (
    "/",
    "/chat/new",
    "/settings",
    "/settings?tab=ai",
    "/settings?tab=security",
    "/settings?tab=keys",
    "/admin/",
    "/admin/agents",
    "/admin/tasks",
    "/admin/users",
    "/admin/audit",
)
# What it says of each fault: the rule, where, and what to do.
RUN = """async tags => {
    const {violations} = await axe.run(document, {runOnly: tags, resultTypes: ["violations"]});
    return violations.flatMap(rule => rule.nodes.map(
        node => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`));
}"""


def faults(somebody: Person) -> list[str]:
    """What axe finds on the page as it is shown now."""
    # Evaluated, not added as an element: the page's policy allows no foreign script.
    somebody.page.evaluate(AXE.read_text())
    return somebody.page.evaluate(RUN, TAGS)


@pytest.mark.parametrize(("device", "locale", "theme"), LOOKS)
def test_no_page_shuts_anybody_out(
    window: OpenWindow, device: Any, locale: str, theme: str
) -> None:
    with window(device=device, locale=locale, theme=theme) as ada:
        found: dict[str, list[str]] = {}
        for path in PAGES:
            ada.go(path)
            expect(ada.page.get_by_role("main")).to_be_visible()
            expect(ada.page.get_by_role("heading").first).to_be_visible()
            found[path] = faults(ada)
    assert {path: each for path, each in found.items() if each} == {}


def test_an_answer_and_its_page_shut_nobody_out(window: OpenWindow) -> None:
    with window() as ada:
        ada.go("/chat/new")
        ada.ask("What is the capital of France?")
        ada.wait_for_end()
        assert faults(ada) == []


def test_the_page_to_sign_in_shuts_nobody_out(product: Product, browser: Browser) -> None:
    with person(browser, product) as stranger:
        stranger.go("/login")
        expect(stranger.page.get_by_role("main")).to_be_visible()
        assert faults(stranger) == []


def test_axe_sees_what_is_wrong(product: Product, browser: Browser) -> None:
    with person(browser, product) as stranger:
        stranger.go("/login")
        expect(stranger.page.get_by_role("main")).to_be_visible()
        stranger.page.evaluate("document.querySelectorAll('label').forEach(it => it.remove())")
        assert any(fault.startswith("label") for fault in faults(stranger))
