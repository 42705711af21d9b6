"""The processes behind the gateway: how they are reached, and when one counts as healthy."""

import ipaddress
from collections.abc import Sequence

from orchestra.engines.address import Address
from orchestra.engines.envoy.plan import Plan
from orchestra.engines.envoy.typed import Config

# Of one connection to an upstream. More would queue behind each other's packets, fewer cost
# sockets.
STREAMS_PER_CONNECTION = 1000
STREAM_WINDOW_BYTES = 1024 * 1024
CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024
MOST_REQUESTS = 100_000


def clusters(plan: Plan) -> list[Config]:
    api = {
        "http_health_check": {"path": "/ready", "host": "localhost", "codec_client_type": "HTTP2"}
    }
    control_plane: Config = {"grpc_health_check": {}}
    return [
        {**_cluster("api", [plan.api], health_check=api), "lb_policy": "LEAST_REQUEST"},
        {
            **_cluster("control-plane", plan.control_planes, health_check=control_plane),
            # By the agent's id, where a route says so; at random elsewhere.
            "lb_policy": "MAGLEV",
            # Of several the living ones are asked, however few they are; a single one always.
            "common_lb_config": {"healthy_panic_threshold": {"value": _panic(plan)}},
        },
    ]


def _panic(plan: Plan) -> int:
    """Below this share of healthy upstreams, in percent, all are taken for healthy."""
    return 0 if len(plan.control_planes) > 1 else 50


def _cluster(name: str, upstreams: Sequence[Address], *, health_check: Config) -> Config:
    return {
        "name": name,
        "type": _discovery(upstreams),
        # A name such as localhost may have an IPv6 address at which nobody listens.
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": STREAM_WINDOW_BYTES,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(upstream) for upstream in upstreams]}],
        },
        "typed_extension_protocol_options": _http2(),
        "health_checks": [_health_check(health_check)],
        "circuit_breakers": {"thresholds": [_bounds()]},
    }


def _discovery(upstreams: Sequence[Address]) -> str:
    """A name is looked up again and again, since replicas come and go."""
    return "STRICT_DNS" if any(_is_name(upstream) for upstream in upstreams) else "STATIC"


def _is_name(upstream: Address) -> bool:
    if upstream.socket_path:
        return False
    try:
        ipaddress.ip_address(upstream.host_and_port[0])
    except ValueError:
        return True
    return False


def _endpoint(upstream: Address) -> Config:
    return {"endpoint": {"address": _address(upstream)}}


def _address(upstream: Address) -> Config:
    if upstream.socket_path:
        return {"pipe": {"path": upstream.socket_path}}
    host, port = upstream.host_and_port
    return {"socket_address": {"address": host, "port_value": port}}


def _health_check(kind: Config) -> Config:
    """Frequent while a process is away, so that a start or restart is noticed at once; rare while
    all is well.
    """
    return {
        "timeout": "1s",
        "interval": "5s",
        "no_traffic_interval": "0.1s",
        "no_traffic_healthy_interval": "5s",
        "unhealthy_interval": "0.1s",
        "unhealthy_edge_interval": "0.1s",
        "unhealthy_threshold": 3,
        "healthy_threshold": 1,
        **kind,
    }


def _http2() -> Config:
    base = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        base: {
            "@type": f"type.googleapis.com/{base}",
            "explicit_http_config": {
                "http2_protocol_options": {
                    "max_concurrent_streams": STREAMS_PER_CONNECTION,
                    "initial_stream_window_size": STREAM_WINDOW_BYTES,
                    "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
                    "connection_keepalive": {"interval": "30s", "timeout": "10s"},
                }
            },
        }
    }


def _bounds() -> Config:
    return {
        "max_connections": 1024,
        "max_pending_requests": MOST_REQUESTS,
        "max_requests": MOST_REQUESTS,
        "max_retries": MOST_REQUESTS,
    }
