"""Events of one person, announced together, travel as one message and are read one by one."""

import uuid

from orchestra.features.events import event_payload, gathered, user_topic
from orchestra.features.events.service import encoding
from orchestra.features.events.types import GATHERED
from orchestra.foundation.messaging import Message

ME, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)


def said(number: int, *, of: uuid.UUID = ME, kind: str = "task.status") -> Message:
    return Message(user_topic(of), event_payload(kind, {"number": number}), f"{of}:{number}")


def frames(message: Message) -> list[str]:
    item = encoding.live_item(message.payload, key=(7, 9), subject=message.subject)
    assert item is not None
    return encoding.sse(item).decode().strip().split("\n\n")


def test_only_events_of_one_person_and_type_are_gathered_in_order() -> None:
    other, finished = said(2, of=OTHER), said(3, kind="task.finished")
    messages = gathered([said(1), other, finished, said(4)])
    assert messages[1:] == [other, finished]
    assert [frame.count('"number":1}') for frame in frames(messages[0])] == [1, 0]
    assert [frame.count('"number":4}') for frame in frames(messages[0])] == [0, 1]


def test_the_cursor_stands_with_the_last_of_them() -> None:
    (message,) = gathered([said(number) for number in range(3)])
    assert [frame.startswith("id: 7-9\n") for frame in frames(message)] == [False, False, True]


def test_the_same_events_are_the_same_message_and_others_are_not() -> None:
    events = [said(1), said(2), said(3)]
    (once,), (again,), (fewer,) = gathered(events), gathered(events), gathered(events[:2])
    assert once.message_id == again.message_id != fewer.message_id


def test_a_message_holds_no_more_than_a_reader_is_handed_at_once() -> None:
    messages = gathered([said(number) for number in range(GATHERED + 1)])
    assert [len(frames(message)) for message in messages] == [GATHERED, 1]


def test_one_event_alone_is_as_it_was() -> None:
    event = said(1)
    assert gathered([event]) == [event]
