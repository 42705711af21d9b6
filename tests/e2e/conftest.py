"""The product is started once for all of these tests; one that breaks more starts its own."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from e2e.agents import is_online
from e2e.product import Product, free_ports, wait_until

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
