"""Somebody who says yes to whatever the run's tasks ask, however often the product breaks."""

import threading
from typing import Any

import httpx
from e2e.product import Product

PAUSE_SECONDS = 0.5
PAGE = 200


class People:
    """Asks for open questions twice a second and approves each."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="people", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(20)

    def _run(self) -> None:
        with self._product.client() as client:
            while not self._stopped.wait(PAUSE_SECONDS):
                try:
                    self._approve_all(client)
                except httpx.HTTPError:
                    continue  # asked again: an answer that arrived is not open any more

    def _approve_all(self, client: httpx.Client) -> None:
        found = client.get("/api/approvals", params={"state": "open", "limit": str(PAGE)})
        for item in found.raise_for_status().json()["items"]:
            self._approve(client, item)

    def _approve(self, client: httpx.Client, item: dict[str, Any]) -> None:
        """409: its task was cancelled meanwhile, or our answer counted although we never heard."""
        said = {"decision": "approve", "data_hash": item["data_hash"]}
        client.post(f"/api/approvals/{item['id']}/answer", json=said)
