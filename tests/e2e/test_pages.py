"""Signing in, and every page in both languages and themes on a desktop and a phone."""

import re
from typing import Any

import pytest
from e2e.browser import DESKTOP, PASSWORD, PHONE, USERNAME, person
from e2e.conftest import OpenWindow
from e2e.product import Product
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

LOOKS = [
    pytest.param(DESKTOP, "en-US", "light", id="desktop-en-light"),
    pytest.param(DESKTOP, "zh-CN", "dark", id="desktop-zh-dark"),
    pytest.param(PHONE, "zh-CN", "light", id="phone-zh-light"),
    pytest.param(PHONE, "en-US", "dark", id="phone-en-dark"),
]
PAGES = {
    "home": "/",
    "sessions": "/chat",
    "new": "/chat/new",
    "settings": "/settings",
    "security": "/settings?tab=security",
}


def test_the_setup_link_works_once(inhabited: Product, browser: Browser) -> None:
    assert inhabited.setup_url is not None
    with person(browser, inhabited) as stranger:
        stranger.page.goto(inhabited.setup_url)
        expect(stranger.page.get_by_text("This link cannot be used")).to_be_visible()
        assert "token" not in stranger.page.url


def test_signing_in_leads_to_the_page_that_was_asked_for(
    inhabited: Product, browser: Browser
) -> None:
    with person(browser, inhabited) as ada:
        ada.go("/settings")
        ada.page.wait_for_url(re.compile(r"/login\?next="))
        ada.page.get_by_label("User name").fill(USERNAME)
        ada.page.get_by_label("Password", exact=True).fill("not this one")
        ada.page.get_by_role("button", name="Sign in").click()
        expect(ada.page.get_by_text("The user name or the password is wrong.")).to_be_visible()
        ada.page.get_by_label("Password", exact=True).fill(PASSWORD)
        ada.page.get_by_role("button", name="Sign in").click()
        ada.page.wait_for_url("**/settings")
        [cookie] = ada.context.cookies()
    assert cookie.get("name") == "__Host-orchestra"
    assert cookie.get("httpOnly")
    assert cookie.get("secure")


def test_signing_out_closes_the_door(window: OpenWindow) -> None:
    with window() as ada:
        ada.go("/")
        ada.page.get_by_role("button", name="Your profile").click()
        ada.page.get_by_role("menuitem", name="Sign out").click()
        ada.page.wait_for_url(re.compile(r"/login"))
        assert ada.page.evaluate("fetch('/api/me').then(answer => answer.status)") == 401


@pytest.mark.parametrize(("device", "locale", "theme"), LOOKS)
def test_every_page_fits_in_its_window(
    window: OpenWindow, request: pytest.FixtureRequest, device: Any, locale: str, theme: str
) -> None:
    look = request.node.callspec.id
    with window(device=device, locale=locale, theme=theme) as ada:
        for name, path in PAGES.items():
            ada.go(path)
            expect(ada.page.get_by_role("main")).to_be_visible()
            ada.shoot(f"{name}-{look}")
            wider = "document.documentElement.scrollWidth > window.innerWidth"
            assert not ada.page.evaluate(wider), f"{path} scrolls sideways"
        assert ada.page.evaluate("document.documentElement.lang") == locale.removesuffix("-US")
        assert ada.page.evaluate("document.documentElement.dataset.theme") == theme
