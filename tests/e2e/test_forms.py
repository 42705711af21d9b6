"""What people fill in takes effect: keys, providers, passwords, profiles, invitations."""

import re

import httpx
import pytest
from e2e.browser import PHONE, Person, person
from e2e.conftest import OpenWindow
from e2e.product import Product
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

FIRST_PASSWORD = "mary counts on fingers"
SECOND_PASSWORD = "mary counts on moths"


def _status(product: Product, key: str) -> int:
    """What the api answers a program with this key."""
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(
        f"{product.url}/api/tasks", headers=headers, timeout=15, trust_env=False
    ).status_code


def _invite(ada: Person, username: str) -> str:
    """Makes a user in the administration; returns the sign-in link that is shown."""
    ada.go("/admin/users")
    ada.page.get_by_role("button", name="New user").click()
    dialog = ada.page.get_by_role("dialog")
    dialog.get_by_label("User name").fill(username)
    dialog.get_by_role("button", name="Create the user").click()
    link = dialog.get_by_text(re.compile("/setup#token="))
    expect(link).to_be_visible()
    ada.shoot("admin-invitation")
    return link.inner_text()


def _accept(guest: Person, link: str, password: str) -> None:
    guest.page.goto(link)
    guest.page.get_by_label("Password", exact=True).fill(password)
    guest.page.get_by_role("button", name="Save and sign in").click()
    guest.page.wait_for_url(f"{guest.product.url}/")


def test_a_key_from_the_form_opens_the_api_until_it_is_revoked(window: OpenWindow) -> None:
    with window() as ada:
        ada.go("/settings?tab=keys")
        ada.page.get_by_role("button", name="New key").click()
        dialog = ada.page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("nightly report")
        dialog.get_by_role("button", name="Create the key").click()
        expect(dialog.get_by_text("shown only this once")).to_be_visible()
        key = dialog.locator("code").inner_text()
        ada.shoot("settings-new-key")
        dialog.get_by_role("button", name="Done").click()
        assert _status(ada.product, key) == 200
        row = ada.page.get_by_role("listitem").filter(has_text="nightly report")
        row.get_by_role("button", name="Revoke").click()
        ada.page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        expect(row).to_have_count(0)
        assert _status(ada.product, key) == 401


def test_a_provider_from_the_form_is_tested_and_deleted(window: OpenWindow) -> None:
    with window() as ada:
        ada.go("/settings?tab=ai")
        local = ada.page.get_by_role("listitem").filter(has_text="On this machine")
        local.get_by_role("button", name="Test the connection").click()
        expect(local.get_by_role("status")).to_contain_text("It answers")
        ada.page.get_by_role("button", name="Add a provider").click()
        dialog = ada.page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("Else where")
        dialog.get_by_label("Base URL (optional)").fill("https://models.invalid/v1")
        dialog.get_by_label("API key", exact=True).fill("sk-not-a-real-key-9876")
        dialog.get_by_role("button", name="Add", exact=True).click()
        expect(dialog.get_by_role("alert")).to_contain_text("Use 1 to 50 of a-z")
        dialog.get_by_label("Name").fill("elsewhere")
        dialog.get_by_role("button", name="Add", exact=True).click()
        row = ada.page.get_by_role("listitem").filter(has_text="elsewhere")
        expect(row).to_contain_text("Key ends in 9876")
        row.get_by_role("button", name="Test the connection").click()
        expect(row.get_by_role("status")).to_contain_text("It does not answer as it should")
        ada.shoot("settings-provider-that-fails")
        row.get_by_role("button", name="Options of “elsewhere”").click()
        ada.page.get_by_role("menuitem", name="Delete").click()
        ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(row).to_have_count(0)


def test_the_display_name_is_shown_everywhere(window: OpenWindow) -> None:
    with window(device=PHONE) as ada:
        ada.go("/settings")
        ada.page.get_by_label("Display name").fill("Ada Lovelace")
        ada.page.get_by_role("button", name="Save").click()
        expect(ada.page.get_by_text("Your profile was saved.")).to_be_visible()
        ada.go("/")
        expect(ada.page.get_by_role("heading", level=1)).to_contain_text("Ada Lovelace")
        ada.go("/settings")
        ada.page.get_by_label("Display name").fill("Ada")
        ada.page.get_by_role("button", name="Save").click()
        expect(ada.page.get_by_text("Your profile was saved.")).to_be_visible()


def test_an_invited_person_chooses_a_password_changes_it_and_is_shut_out(
    window: OpenWindow, inhabited: Product, browser: Browser
) -> None:
    with window() as ada, person(browser, inhabited) as mary:
        _accept(mary, _invite(ada, "mary"), FIRST_PASSWORD)
        mary.go("/settings?tab=security")
        mary.page.get_by_label("Current password").fill("not mine at all")
        mary.page.get_by_label("New password").fill(SECOND_PASSWORD)
        mary.page.get_by_role("button", name="Change the password").click()
        expect(mary.page.get_by_text("This is not your current password.")).to_be_visible()
        mary.page.get_by_label("Current password").fill(FIRST_PASSWORD)
        mary.page.get_by_role("button", name="Change the password").click()
        expect(mary.page.get_by_text("Your password was changed.")).to_be_visible()
        ada.page.get_by_role("dialog").get_by_role("button", name="Done").click()
        row = ada.page.get_by_role("listitem").filter(has_text="@mary")
        row.get_by_role("button", name="Disable").click()
        expect(row).to_contain_text("Disabled")
        # Her open page hears of it, without a click.
        mary.page.wait_for_url(re.compile("/login"))
        mary.page.get_by_label("User name").fill("mary")
        mary.page.get_by_label("Password", exact=True).fill(SECOND_PASSWORD)
        mary.page.get_by_role("button", name="Sign in").click()
        expect(mary.page.get_by_text("The user name or the password is wrong.")).to_be_visible()
