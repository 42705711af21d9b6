"""The disk of the instance is full, fails under writes, or loses its power."""

from chaos import needs
from chaos.disk import Disk, Image
from chaos.faults.fault import Fault
from chaos.stage import Stage

DISK_MEGABYTES = 900
# Little enough that writes come to blocks that no write has used before.
IMAGE_MEGABYTES = 1_200
FULL_SECONDS = 6.0
FAILING_SECONDS = 8.0


def _disk_full(stage: Stage) -> None:
    """Something else on the disk takes the last byte, and is removed after a while."""
    disk = stage.disk
    assert disk is not None
    stage.wait_for_load(0.2, 0.5)
    with stage.api_may_fail(after=20.0):
        try:
            disk.fill()
            stage.pause(FULL_SECONDS)
        finally:
            disk.free()


def _power_cut(stage: Stage) -> None:
    """PostgreSQL and NATS wake up with what had reached the disk, and no byte more."""
    image = _image(stage)
    stage.wait_for_load(0.2, 0.6)
    with stage.api_may_fail(after=5.0):
        image.cut_power()
        _repair(stage, image)


def _writes_fail(stage: Stage) -> None:
    """Every write and every `fsync` says EIO while all run on; then somebody repairs it."""
    image = _image(stage)
    stage.wait_for_load(0.2, 0.5)
    with stage.api_may_fail(after=5.0):
        image.cut_power()
        stage.pause(FAILING_SECONDS)
        _repair(stage, image)


def _turns_read_only(stage: Stage) -> None:
    """Blocks written for the first time are lost, until the file system gives up writing."""
    image = _image(stage)
    stage.wait_for_load(0.2, 0.5)
    with stage.api_may_fail(after=5.0):
        image.fill()
        stage.pause(FAILING_SECONDS)
        image.free()
        _repair(stage, image)


def _image(stage: Stage) -> Image:
    assert isinstance(stage.disk, Image)
    return stage.disk


def _repair(stage: Stage, image: Image) -> None:
    """The machine goes down at this moment, and comes up again."""
    stage.product.kill_everything()
    image.take_off()
    image.repair()
    stage.product.start()


FAULTS = (
    Fault(
        name="disk-full",
        about="the disk of the instance is full for a while",
        run=_disk_full,
        own_product=True,
        disk=lambda home: Disk(home, megabytes=DISK_MEGABYTES),
        lacks=needs.root,
    ),
    Fault(
        name="power-cut",
        about="power cut of PostgreSQL, NATS and all else: what was not flushed is lost",
        run=_power_cut,
        own_product=True,
        disk=lambda home: Image(home, megabytes=IMAGE_MEGABYTES),
        lacks=needs.images,
    ),
    Fault(
        name="disk-eio",
        about="every write and fsync says EIO for a while, then the machine is repaired",
        run=_writes_fail,
        own_product=True,
        disk=lambda home: Image(home, megabytes=IMAGE_MEGABYTES),
        lacks=needs.images,
    ),
    Fault(
        name="disk-read-only",
        about="the room below the file system is used up, and it turns read-only",
        run=_turns_read_only,
        own_product=True,
        disk=lambda home: Image(home, megabytes=IMAGE_MEGABYTES),
        lacks=needs.images,
    ),
)
