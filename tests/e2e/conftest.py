"""The product is started once for all of these tests; one that breaks more starts its own."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from e2e.agents import is_online
from e2e.browser import PASSWORD, USERNAME, WAIT_MS, Person, chromium, person
from e2e.product import Product, wait_until
from orchestra.engines.process import free_ports
from playwright.sync_api import Browser, expect, sync_playwright

E2E = Path(__file__).parent
ASSISTANT_SECONDS = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starting and breaking the product takes longer than the 20 s of a test elsewhere."""
    for item in items:
        if E2E in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(180))


Starter = Callable[..., Product]


@pytest.fixture(scope="session")
def start_product(tmp_path_factory: pytest.TempPathFactory) -> Generator[Starter]:
    """Starts an instance in a directory of its own; stopped after the last test."""
    started: list[Product] = []

    def start(**settings: str) -> Product:
        http_port, https_port = free_ports(2)
        product = Product(
            data_dir=tmp_path_factory.mktemp("product") / "data",
            http_port=http_port,
            https_port=https_port,
            settings={f"ORCHESTRA_{name.upper()}": text for name, text in settings.items()},
        )
        started.append(product)
        product.start()
        return product

    yield start
    for product in started:
        product.stop()


@pytest.fixture(scope="session")
def product(start_product: Starter) -> Product:
    """The instance that most tests share; its assistant is ready to answer."""
    started = start_product()
    wait_until(
        lambda: is_online(started, "chat"),
        seconds=ASSISTANT_SECONDS,
        what=f"the assistant is online:\n{started.log()}",
    )
    return started


@pytest.fixture(scope="session")
def browser() -> Generator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright, chromium(playwright) as started:
        yield started


@pytest.fixture(scope="session")
def inhabited(product: Product, browser: Browser) -> Product:
    """The shared instance after its first administrator was set up through the one-time link."""
    assert product.setup_url is not None
    with person(browser, product) as first:
        first.page.goto(product.setup_url)
        first.page.get_by_label("User name").fill(USERNAME)
        first.page.get_by_label("Display name (optional)").fill("Ada")
        first.page.get_by_label("Password", exact=True).fill(PASSWORD)
        first.shoot("setup-desktop-en-light")
        first.page.get_by_role("button", name="Create the administrator").click()
        first.page.wait_for_url(f"{product.url}/")
        expect(first.page.get_by_role("heading", level=1)).to_contain_text("Ada")
        first.shoot("home-desktop-en-light")
    return product


OpenWindow = Callable[..., AbstractContextManager[Person]]


@pytest.fixture
def window(inhabited: Product, browser: Browser) -> OpenWindow:
    """Opens a window that is signed in: `with window(device=PHONE, theme="dark") as somebody`."""

    def open_window(**options: object) -> AbstractContextManager[Person]:
        return _signed_in(person(browser, inhabited, **options))  # type: ignore[arg-type]

    return open_window


@contextmanager
def _signed_in(opening: AbstractContextManager[Person]) -> Generator[Person]:
    with opening as somebody:
        somebody.sign_in()
        yield somebody
