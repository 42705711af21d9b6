"""The administration shows what happens while it happens."""

from pathlib import Path
from typing import Any

import pytest
from e2e.agents import running, write_echo
from e2e.browser import DESKTOP, PHONE, person
from e2e.conftest import OpenWindow
from e2e.product import Product
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

PAGES = {
    "overview": "/admin/",
    "agents": "/admin/agents",
    "tasks": "/admin/tasks",
    "users": "/admin/users",
    "audit": "/admin/audit",
}
LOOKS = [
    pytest.param(DESKTOP, "en-US", "dark", id="desktop-en-dark"),
    pytest.param(PHONE, "zh-CN", "light", id="phone-zh-light"),
]


def test_an_agent_appears_and_goes_offline_before_the_eyes_of_the_admin(
    window: OpenWindow, product: Product, tmp_path: Path
) -> None:
    agent = write_echo(tmp_path, capability="seen")
    with window() as ada:
        ada.go("/admin/agents")
        card = ada.page.get_by_role("listitem").filter(has_text="seen-agent")
        expect(ada.page.get_by_role("listitem").first).to_be_visible()
        with running(product, agent, capability="seen"):
            expect(card).to_contain_text("Online")
            ada.shoot("admin-agents-live")
        expect(card).to_contain_text("Offline")


def test_a_task_moves_through_its_states_before_the_eyes_of_the_admin(
    window: OpenWindow, product: Product, tmp_path: Path
) -> None:
    with window() as ada:
        ada.go("/admin/tasks?capability=watched")
        submitted = product.cli("task", "submit", "watched").stdout.strip()
        row = ada.page.get_by_role("listitem").filter(has_text="watched")
        expect(row).to_contain_text("waiting for an agent")
        with running(product, write_echo(tmp_path, capability="watched"), capability="watched"):
            expect(row).to_contain_text("Succeeded")
        row.get_by_role("link").click()
        expect(ada.page.get_by_role("dialog")).to_contain_text(submitted)


def test_the_figures_of_the_overview_are_live(window: OpenWindow, product: Product) -> None:
    with window() as ada:
        ada.go("/admin/")
        waiting = ada.page.get_by_role("link").filter(has_text="Tasks waiting")
        expect(waiting).to_contain_text("0")
        submitted = product.cli("task", "submit", "not-yet", "--count", "3").stdout.split()
        expect(waiting).to_contain_text("3")
        for task_id in submitted:
            product.cli("task", "cancel", task_id)
        expect(waiting).to_contain_text("0")


def test_a_member_is_kept_out_of_the_administration(inhabited: Product, browser: Browser) -> None:
    made = inhabited.cli("users", "create", "bob", "--password-stdin", input="bob is no admin\n")
    assert "member" in made.stdout
    with person(browser, inhabited) as bob:
        bob.go("/login?next=/admin/")
        bob.page.get_by_label("User name").fill("bob")
        bob.page.get_by_label("Password", exact=True).fill("bob is no admin")
        bob.page.get_by_role("button", name="Sign in").click()
        expect(bob.page.get_by_text("This part is for administrators")).to_be_visible()
        assert bob.page.evaluate("fetch('/api/users').then(answer => answer.status)") == 403


@pytest.mark.parametrize(("device", "locale", "theme"), LOOKS)
def test_every_page_of_the_administration_fits_in_its_window(
    window: OpenWindow, request: pytest.FixtureRequest, device: Any, locale: str, theme: str
) -> None:
    look = request.node.callspec.id
    with window(device=device, locale=locale, theme=theme) as ada:
        for name, path in PAGES.items():
            ada.go(path)
            expect(ada.page.get_by_role("heading", level=1)).to_be_visible()
            ada.shoot(f"admin-{name}-{look}")
            wider = "document.documentElement.scrollWidth > window.innerWidth"
            assert not ada.page.evaluate(wider), f"{path} scrolls sideways"
