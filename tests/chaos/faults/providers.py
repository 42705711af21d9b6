"""The provider behind `/v1` is too busy, never answers, stops half-way, or breaks off."""

from collections.abc import Generator
from contextlib import contextmanager

from chaos.faults.fault import Fault
from chaos.load import Wish
from chaos.provider import MODEL, TROUBLES, WELL, Provider
from chaos.stage import Size, Stage

ASKING = 80  # tasks that ask a model, beside the ordinary ones
TROUBLE_SECONDS = 3.0
# A task that waits for a model that says nothing is ended by this limit of its own.
SILENCE_SECONDS = 4.0


def _prepare(stage: Stage) -> None:
    stage.provider = Provider()
    stage.provider.start()
    body = {"name": stage.queue, "kind": "openai", "base_url": stage.provider.url, "api_key": "x"}
    with stage.product.client() as client:
        client.post("/api/providers", json=body).raise_for_status()
    for agent in stage.agents:
        agent.extra["CHAOS_MODEL"] = f"{stage.queue}/{MODEL}"
    for place in range(ASKING):
        stage.extra.append(_question(stage, stage.size.submits + place))


def _question(stage: Stage, number: int) -> Wish:
    return Wish(
        number=number,
        kind="asks",
        priority="normal",
        key=f"{stage.queue}-{number}",
        more={"progress_timeout_seconds": SILENCE_SECONDS},
    )


def _trouble(stage: Stage) -> None:
    """Each trouble for a while, in the seed's order, and a time between in which all is well."""
    troubles = stage.random.sample(TROUBLES, len(TROUBLES))
    with _stopping(stage) as provider:
        for place, trouble in enumerate(troubles):
            share = 0.05 + 0.2 * place
            stage.wait_for_load(share, share + 0.1)
            provider.mood = trouble
            stage.pause(TROUBLE_SECONDS)
            provider.mood = WELL
        stage.settle()
        if missed := set(TROUBLES) - set(provider.calls):
            raise AssertionError(f"nobody asked while the provider was so: {missed}")


@contextmanager
def _stopping(stage: Stage) -> Generator[Provider]:
    assert stage.provider is not None
    try:
        yield stage.provider
    finally:
        stage.provider.stop()


FAULTS = (
    Fault(
        name="provider",
        about="a provider answers 429, hangs, stalls half-way and cuts its stream",
        prepare=_prepare,
        run=_trouble,
        settings={"egress_allowed_hosts": "127.0.0.1"},
        size=Size(submits=200, rate=12.0),
    ),
)
