"""Declared workflows over REST, and runs of them."""

from typing import Any

PIPELINE = {
    "nodes": {
        "fetch": {"capability": "echo", "input": {"$input": "/url"}},
        "left": {"capability": "echo", "input": {"$node": "fetch"}},
        "right": {"capability": "echo", "input": ["right", {"$node": "fetch"}], "priority": "low"},
    },
    "output": {"both": [{"$node": "left"}, {"$node": "right"}]},
}


async def declare(http: Any, spec: Any = PIPELINE, name: str = "news") -> Any:
    answer = await http.post("/api/workflows", json={"name": name, "spec": spec})
    assert answer.status_code in (200, 201), answer.text
    return answer


async def start(http: Any, given: Any, name: str = "news", **more: Any) -> Any:
    answer = await http.post(f"/api/workflows/{name}/runs", json={"input": given, **more})
    assert answer.status_code == 202, answer.text
    return answer.json()
