#!/usr/bin/env bash
# Writes the gRPC stubs that packages/protocol ships, from proto/.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-packages/protocol/src/orchestra_protocol}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m grpc_tools.protoc -I proto --python_out="$tmp" --grpc_python_out="$tmp" \
  --mypy_out="$tmp" --mypy_grpc_out="$tmp" proto/ai_orchestra/v2/agent.proto
# The stubs live in our own package, so that a client generated from the proto never collides with them.
sed -i -e 's/from ai_orchestra\.v2 import agent_pb2 as ai__orchestra_dot_v2_dot_agent__pb2/from orchestra_protocol import agent_pb2 as ai__orchestra_dot_v2_dot_agent__pb2/' \
  -e 's/^import ai_orchestra\.v2\.agent_pb2$/import orchestra_protocol.agent_pb2/' \
  -e 's/^from ai_orchestra\.v2 import/from orchestra_protocol import/' \
  -e 's/\bai_orchestra\.v2\.agent_pb2\b/orchestra_protocol.agent_pb2/g' "$tmp"/ai_orchestra/v2/*.py*
cp "$tmp"/ai_orchestra/v2/agent_pb2*.py* "$out/"
