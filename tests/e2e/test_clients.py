"""Programs that know nothing of ours: the `openai` client, `curl`, a client made from the proto."""

import json
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from e2e.product import BIN, ROOT, Product

PROMPT = "What is the capital of France?"


def _openai(product: Product) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{product.url}/v1", api_key=product.key, max_retries=0)


def test_the_openai_client_lists_models_and_gets_an_answer(product: Product) -> None:
    with _openai(product) as client:
        models = [model.id for model in client.models.list()]
        answer = client.chat.completions.create(
            model="default", messages=[{"role": "user", "content": PROMPT}], temperature=0
        )
    assert models
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


def test_the_openai_client_streams_an_answer(product: Product) -> None:
    with _openai(product) as client:
        stream = client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": PROMPT}],
            temperature=0,
            stream=True,
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert len([piece for piece in pieces if piece]) > 1
    assert "Paris" in "".join(pieces)


def test_the_openai_client_hears_in_its_own_words_that_a_key_is_wrong(product: Product) -> None:
    wrong = openai.OpenAI(base_url=f"{product.url}/v1", api_key="wrong", max_retries=0)
    with wrong as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_curl_reads_the_feed_of_a_task_as_it_happens(product: Product) -> None:
    with product.client() as client:
        conversation = client.post("/api/conversations", json={}).raise_for_status().json()
        path = f"/api/conversations/{conversation['id']}/messages"
        sent = client.post(path, json={"content": PROMPT}).raise_for_status().json()
    task_id = sent["assistant_message"]["task_id"]
    done = subprocess.run(
        [
            *(
                "curl",
                "-sS",
                "-N",
                "--max-time",
                "60",
                "-H",
                f"authorization: Bearer {product.key}",
            ),
            f"{product.url}/api/tasks/{task_id}/events",
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert done.stdout.count("event: task.token\n") > 1
    assert done.stdout.rstrip().split("\n\n")[-1].startswith(("id:", "event: task.finished"))
    assert "event: task.finished\n" in done.stdout


def test_curl_reads_the_live_feed(product: Product) -> None:
    reader = subprocess.Popen(
        [
            *(
                "curl",
                "-sS",
                "-N",
                "--max-time",
                "60",
                "-H",
                f"authorization: Bearer {product.key}",
            ),
            f"{product.url}/api/events/stream",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    with reader:
        first = [reader.stdout.readline().strip() for _ in range(2)]
        submitted = product.cli("task", "submit", "nobody-does-this").stdout.strip()
        seen = next(line for line in reader.stdout if submitted in line)
        reader.kill()
    assert "event: ready" in first
    assert json.loads(seen.partition("data:")[2])["data"]["task_id"] == submitted
    product.cli("task", "cancel", submitted)


GRPC_CLIENT = """
import sys
import grpc
from ai_orchestra.v2 import agent_pb2 as pb, agent_pb2_grpc as rpc

target, key = sys.argv[1:]
metadata = (("authorization", f"Bearer {key}"),)
with grpc.insecure_channel(target) as channel:
    stub = rpc.ModernAgentServiceStub(channel)
    agents = list(stub.ListAgents(pb.ListAgentsRequest(), metadata=metadata, timeout=20))
    print(",".join(sorted({name for agent in agents for name in agent.capabilities})))
    first = next(iter(stub.GetRealTimeMetrics(pb.MetricsRequest(), metadata=metadata, timeout=20)))
    print(int(first.system["agents_online"]))
    try:
        list(stub.ListAgents(pb.ListAgentsRequest(), timeout=20))
    except grpc.RpcError as error:
        print(error.code().name)
"""


def test_a_client_generated_from_the_proto_alone_works(product: Product, tmp_path: Path) -> None:
    proto = "ai_orchestra/v2/agent.proto"
    subprocess.run(
        [
            *(str(BIN / "python"), "-m", "grpc_tools.protoc", "-I", str(ROOT / "proto")),
            *(f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}", proto),
        ],
        check=True,
        timeout=60,
    )
    (tmp_path / "client.py").write_text(GRPC_CLIENT)
    done = subprocess.run(
        [sys.executable, "client.py", f"localhost:{product.http_port}", product.key],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    capabilities, online, refused = done.stdout.splitlines()
    assert "chat" in capabilities.split(",")
    assert int(online) >= 1
    assert refused == "UNAUTHENTICATED"
