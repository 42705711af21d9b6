"""Tasks and chats followed to their end over feeds that break."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

from contract_server import T1, Answer, Api, Request, Run, frame
from orchestra_cli import sse
from orchestra_cli.follow import Text

SUBMITTED = {"id": T1, "state": "queued"}
FEED = f"/api/tasks/{T1}/events"
# A shell that starts the tests in the background hands an ignored SIGINT down to them.
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from orchestra_cli.main import main; main()"
)
STARTED = {
    "user_message": {"id": "m1"},
    "assistant_message": {"id": "m2", "task_id": T1},
}
FINISHED = {"state": "succeeded", "result": {"text": "Paris."}, "error": None, "usage": None}


def _running(epoch: int) -> str:
    return frame("task.status", {"state": "running", "epoch": epoch}, f"{epoch}:0")


def _token(cursor: str, text: str) -> str:
    return frame("task.token", {"text": text}, cursor)


def _conversation(api: Api) -> None:
    api.on("POST", "/api/conversations", Answer(201, {"id": "c1"}))
    api.on("POST", "/api/conversations/c1/messages", Answer(202, STARTED))


def test_an_answer_is_followed_over_a_dropped_connection(api: Api, run: Run) -> None:
    _conversation(api)
    api.on(
        "GET",
        FEED,
        Answer(frames=[_running(2), _token("2:1", "Pa")]),
        Answer(503, {"detail": "away"}),
        Answer(frames=[_token("2:2", "ris."), frame("task.finished", FINISHED, "2:3")]),
    )
    ran = run("chat", "What is the capital of France?")
    assert (ran.code, ran.out) == (0, "Paris.\n")
    assert [item.headers.get("last-event-id") for item in api.sent("GET", FEED)] == [
        None,
        "2:1",
        "2:1",
    ]


def test_a_chat_goes_on_in_a_conversation_with_another_model(api: Api, run: Run) -> None:
    _conversation(api)
    api.on("PATCH", "/api/conversations/c1", Answer(body={"id": "c1"}))
    api.on("GET", FEED, Answer(frames=[frame("task.finished", FINISHED, "1:1")]))
    ran = run("chat", "And Spain?", "--conversation", "c1", "--model", "p/m", "--json")
    assert json.loads(ran.out)["text"] == "Paris."
    assert api.sent("PATCH", "/api/conversations/c1")[0].body == {"model": "p/m"}
    assert api.sent("POST", "/api/conversations") == []


def test_a_submit_that_is_repeated_carries_the_same_idempotency_key(api: Api, run: Run) -> None:
    api.on("POST", "/api/tasks", Answer(503, {"detail": "away"}), Answer(202, SUBMITTED))
    ran = run("task", "submit", "echo", "--input", '{"text": "hi"}')
    assert (ran.code, ran.out) == (0, f"{T1}\n")
    keys = {item.headers["idempotency-key"] for item in api.sent("POST", "/api/tasks")}
    assert len(keys) == 1
    assert api.sent("POST", "/api/tasks")[0].body["input"] == {"text": "hi"}


def test_a_followed_task_prints_its_result_and_nothing_else_on_standard_output(
    api: Api, run: Run
) -> None:
    api.on("POST", "/api/tasks", Answer(202, SUBMITTED))
    progress = frame("task.progress", {"fraction": 0.5, "message": "half"}, "1:1")
    end = frame("task.finished", {"state": "succeeded", "result": {"n": 1}}, "1:2")
    api.on("GET", FEED, Answer(frames=[": hb\n\n", _running(1), progress, end]))
    ran = run("task", "submit", "echo", "--follow")
    assert (ran.code, ran.out) == (0, '{"n": 1}\n')
    assert "50% half" in ran.err


def test_a_failed_task_fails_the_command_and_says_why(api: Api, run: Run) -> None:
    end = {"state": "failed", "result": None, "error": {"code": "boom", "message": "It broke"}}
    api.on("GET", FEED, Answer(frames=[frame("task.finished", end, "1:1")]))
    ran = run("task", "follow", T1)
    assert (ran.code, ran.out) == (1, "")
    assert "It broke (boom)" in ran.err


def test_a_snapshot_of_a_finished_task_ends_the_following(api: Api, run: Run) -> None:
    snapshot = {"state": "succeeded", "epoch": 3, "text": "", "result": 7, "cursor": "3:9"}
    frames = [frame("gap", {"from": "1:0", "to": "3:9"}), frame("task.snapshot", snapshot, "3:9")]
    api.on("GET", FEED, Answer(frames=frames))
    assert run("task", "follow", T1).out == "7\n"


def test_many_tasks_go_in_batches_and_are_counted(api: Api, run: Run) -> None:
    def accept(request: Request) -> Answer:
        made = [{"id": T1, "state": "queued"} for _ in request.body["tasks"]]
        return Answer(202, {"items": made})

    api.on("POST", "/api/tasks/batch", accept)
    ran = run("task", "submit", "echo", "--count", "1500")
    assert [len(item.body["tasks"]) for item in api.sent("POST", "/api/tasks/batch")] == [1000, 500]
    assert len(ran.out.splitlines()) == 1500


def test_input_that_is_not_json_is_wrong_usage(run: Run) -> None:
    assert run("task", "submit", "echo", "--input", "{hi").code == 2
    assert run("task", "submit", "echo", "--input", "@absent.json").code == 2


def test_ctrl_c_stops_the_answer_on_the_server(api: Api) -> None:
    _conversation(api)
    stopped = threading.Event()

    def feed(request: Request) -> Answer:
        return Answer(frames=_until_stopped(request.headers.get("last-event-id")))

    def _until_stopped(cursor: str | None) -> Iterator[str]:
        if cursor is None:
            yield _running(1) + _token("1:1", "One, two")
        assert stopped.wait(10)
        yield frame("task.finished", {"state": "cancelled", "result": None}, "1:2")

    def stop(_request: Request) -> Answer:
        stopped.set()
        return Answer(202, {})

    api.on("GET", FEED, feed)
    api.on("POST", "/api/conversations/c1/messages/m2/stop", stop)
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "chat", "Count."],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    with process:
        try:
            _wait_for_feed(api)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=15)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "One, two\n")


def _wait_for_feed(api: Api) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if api.sent("GET", FEED):
            waiting.wait(0.2)  # the frame that was sent after the request arrives
            return
        waiting.wait(0.01)
    raise AssertionError("the feed was never opened")


def test_another_attempt_shows_only_what_is_new() -> None:
    printed: list[str] = []
    text = Text(printed.append)
    text.append("The capital")
    text.restart()
    text.append("The cap")
    text.append("ital of France")
    assert "".join(printed) == "The capital of France"


def test_another_attempt_that_says_something_else_is_marked() -> None:
    printed: list[str] = []
    text = Text(printed.append)
    text.append("One")
    text.restart()
    text.append("Two")
    assert "".join(printed) == "One\n[started again]\nTwo"
    assert text.current == "Two"


def test_an_event_that_the_connection_cut_short_is_not_delivered() -> None:
    lines = ["id: 1:1", "event: a", 'data: {"n":1}', "", "id: 1:2", "event: a", 'data: {"n":2}']
    assert [(event.id, event.data) for event in sse.parse(lines)] == [("1:1", {"n": 1})]


def test_data_over_several_lines_is_joined_and_comments_are_skipped() -> None:
    lines = [": hb", "", "data: [1,", "data: 2]", ""]
    assert [(event.type, event.data) for event in sse.parse(lines)] == [("message", [1, 2])]
