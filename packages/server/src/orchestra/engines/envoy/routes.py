"""Which path goes where, how long it may take, and what is tried again."""

from collections.abc import Sequence

from orchestra.engines.envoy.limits import RateLimit, on_route
from orchestra.engines.envoy.plan import Plan
from orchestra.engines.envoy.typed import Config, typed

GRPC_PREFIXES = ("/ai_orchestra.v2.ModernAgentService/", "/grpc.health.v1.Health/")
ASSIGN_TASK = "/ai_orchestra.v2.ModernAgentService/AssignTask"
SIGN_IN_PATHS = ("/api/auth/login", "/api/auth/link", "/api/auth/setup", "/api/agents/enrol")
SUBMIT_MATCHES: tuple[Config, ...] = (
    {"path": "/api/tasks"},
    {"path": "/api/tasks/batch"},
    {"safe_regex": {"regex": "/api/conversations/[^/]+/messages(/.*)?"}},
    {"safe_regex": {"regex": "/api/(workflows|schedules)/[^/]+/runs?"}},
)
# What belongs to one agent, and is best kept by one control plane.
AGENT_STREAMS = (f"{GRPC_PREFIXES[0]}TaskBidirectionalStream", f"{GRPC_PREFIXES[0]}StreamHeartbeat")
AGENT_HEADER = "orchestra-agent-id"
# Answers that last as long as somebody listens: feeds, and models while they write.
STREAM_MATCHES: tuple[Config, ...] = (
    {"path": "/api/events/stream"},
    {"safe_regex": {"regex": "/api/tasks/[^/]+/events"}},
    {"prefix": "/v1/"},
)
# Who asks these wants to know how it is now.
PROBE_PATHS = ("/health", "/ready")
PROBE_SECONDS = 5
ANSWER_SECONDS = 60
OTHER_HOST = "envoy.retry_host_predicates.previous_hosts"
OTHER_HOST_KIND = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
LARGEST_INTEGER = 2**63 - 1


def route_configuration(plan: Plan, *, response_headers: Config) -> Config:
    """One virtual host for every name: which hosts are allowed is the api's to say."""
    return {
        "name": "doors",
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": _routes(plan),
                "response_headers_to_add": _headers(response_headers),
            }
        ],
    }


def _routes(plan: Plan) -> list[Config]:
    return [
        {"match": {"path": ASSIGN_TASK}, "route": {**_agents(), **on_route(plan.submits)}},
        *({"match": {"path": path}, "route": _agent_stream()} for path in AGENT_STREAMS),
        *({"match": {"prefix": prefix}, "route": _agents()} for prefix in GRPC_PREFIXES),
        # Of a size of their own, which the api checks before it reads.
        {"match": {"prefix": "/api/blobs"}, "route": _stream()},
        _too_large(plan.max_request_bytes),
        *({"match": {"path": path}, "route": _probe()} for path in PROBE_PATHS),
        *({"match": match, "route": _stream()} for match in STREAM_MATCHES),
        *_limited([{"path": path} for path in SIGN_IN_PATHS], plan.sign_ins),
        *_limited(SUBMIT_MATCHES, plan.submits),
        {
            "match": {"prefix": "/", "headers": [_safe_method()]},
            "route": _request(retry_on=SAFE_RETRIES),
        },
        {"match": {"prefix": "/"}, "route": _request(retry_on=RETRIES)},
    ]


# In these cases the request has not reached the application, so any method may be sent again.
RETRIES = "connect-failure,refused-stream,reset-before-request"
SAFE_RETRIES = f"{RETRIES},reset"


def _agents() -> Config:
    """An agent's stream has no end of its own; pings on the connection find the dead."""
    return {"cluster": "control-plane", "timeout": "0s", "idle_timeout": "0s", **_retry(RETRIES)}


def _agent_stream() -> Config:
    """To the control plane that the agent's id leads to, so that its streams meet there; one that
    is stopping refuses it, and the next is asked.
    """
    return {
        **_agents(),
        **_retry(f"{RETRIES},unavailable"),
        "hash_policy": [{"header": {"header_name": AGENT_HEADER}}],
    }


def _stream() -> Config:
    return {"cluster": "api", "timeout": "0s", "idle_timeout": "0s", **_retry(RETRIES)}


def _probe() -> Config:
    return {"cluster": "api", "timeout": f"{PROBE_SECONDS}s"}


def _limited(matches: Sequence[Config], limit: RateLimit | None) -> list[Config]:
    """What is posted there; to read the same paths costs little."""
    route = {**_request(retry_on=RETRIES), **on_route(limit)}
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    return [{"match": {**match, "headers": [post]}, "route": route} for match in matches]


def _request(*, retry_on: str) -> Config:
    return {"cluster": "api", "timeout": f"{ANSWER_SECONDS}s", **_retry(retry_on)}


def _retry(retry_on: str) -> Config:
    """Over some five seconds, with jitter: an api that restarts is a short wait, not an error."""
    return {
        "retry_policy": {
            "retry_on": retry_on,
            "num_retries": 10,
            "retry_back_off": {"base_interval": "0.25s", "max_interval": "1s"},
            "retry_host_predicate": [typed(OTHER_HOST, OTHER_HOST_KIND, {})],
            "host_selection_retry_max_attempts": 5,
        }
    }


def _too_large(limit: int) -> Config:
    """Refuses a declared length; a body without one is counted by the api as it comes."""
    above = {"start": str(limit + 1), "end": str(LARGEST_INTEGER)}
    return {
        "match": {"prefix": "/", "headers": [{"name": "content-length", "range_match": above}]},
        "direct_response": {
            "status": 413,
            "body": {"inline_string": f"The request is larger than {limit} bytes."},
        },
    }


def _safe_method() -> Config:
    return {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}


def _headers(headers: Config) -> list[Config]:
    return [{"header": {"key": key, "value": value}} for key, value in headers.items()]
