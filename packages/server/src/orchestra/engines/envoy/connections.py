"""What happens on a connection, whichever door it came through: trust, bounds, compression, answers
of our own, and the access log.
"""

from orchestra.engines.envoy.limits import rate_filter
from orchestra.engines.envoy.plan import Plan
from orchestra.engines.envoy.routes import route_configuration
from orchestra.engines.envoy.typed import Config, typed

# Text that repeats itself. A feed (text/event-stream) is none of these, so it is never held back.
COMPRESSED_TYPES = ".*/(css|html|plain|javascript|json|.*[+]json|svg[+]xml)(;.*)?"
# What only a gateway may say about a request. A client that says it is lying.
GATEWAY_HEADERS = (
    {"prefix": "x-envoy-"},
    {"prefix": "x-forwarded-"},
    {"exact": "forwarded"},
    {"exact": "x-real-ip"},
    {"exact": "x-request-id"},
)
# Envoy takes an empty list for "private networks"; nobody has this address.
NOBODY = {"address_prefix": "255.255.255.255", "prefix_len": 32}
MAX_STREAMS = 1000
STREAM_WINDOW_BYTES = 256 * 1024
CONNECTION_WINDOW_BYTES = 1024 * 1024

GRPC_TYPE = "application/grpc"
TOO_MANY = "Too many requests from this address; Retry-After says when to try again."
UNAVAILABLE = "The service is starting or away; try again in a moment."


def connections(plan: Plan, name: str, codec: str, response_headers: Config) -> Config:
    kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    routes = route_configuration(plan, response_headers=response_headers)
    limits = [rate_filter(limit) for limit in (plan.sign_ins, plan.submits) if limit]
    protocol: Config = (
        {"http3_protocol_options": {}} if codec == "HTTP3" else {"http2_protocol_options": _http2()}
    )
    manager = {
        "stat_prefix": name,
        "codec_type": codec,
        **protocol,
        **_trust(),
        **_bounds(),
        "route_config": routes,
        "http_filters": [*limits, _compressor(), _router()],
        "local_reply_config": _own_answers(),
        "access_log": [_access_log(plan)],
    }
    return typed("envoy.filters.network.http_connection_manager", kind, manager)


def _trust() -> Config:
    """The gateway is the edge: the peer's address is the client's, and every request gets an id of
    ours.
    """
    remove = [{"remove_on_match": {"key_matcher": matcher}} for matcher in GATEWAY_HEADERS]
    mutation = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    early = typed(
        "envoy.http.early_header_mutation.header_mutation", mutation, {"mutations": remove}
    )
    return {
        "use_remote_address": True,
        "internal_address_config": {"cidr_ranges": [NOBODY]},
        "early_header_mutation_extensions": [early],
        "generate_request_id": True,
        "preserve_external_request_id": False,
        "normalize_path": True,
        "merge_slashes": True,
        "server_header_transformation": "PASS_THROUGH",
        "strip_any_host_port": False,
    }


def _bounds() -> Config:
    return {
        "max_request_headers_kb": 32,
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "300s",
        "delayed_close_timeout": "1s",
        "drain_timeout": "2s",
        "common_http_protocol_options": {
            "idle_timeout": "3600s",
            "max_headers_count": 100,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
    }


def _http2() -> Config:
    return {
        "max_concurrent_streams": MAX_STREAMS,
        "initial_stream_window_size": STREAM_WINDOW_BYTES,
        "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
        "connection_keepalive": {"interval": "30s", "timeout": "20s"},
    }


def _compressor() -> Config:
    """gzip for what compresses well, at a level that costs little."""
    library = typed(
        "gzip",
        "envoy.extensions.compression.gzip.compressor.v3.Gzip",
        {"compression_level": "COMPRESSION_LEVEL_4"},
    )
    types = {"safe_regex": {"regex": COMPRESSED_TYPES}}
    response = {
        "common_config": {"min_content_length": 1024, "content_type_matcher": types},
        "disable_on_etag_header": False,
    }
    kind = "envoy.extensions.filters.http.compressor.v3.Compressor"
    settings = {"response_direction_config": response, "compressor_library": library}
    return typed("envoy.filters.http.compressor", kind, settings)


def _router() -> Config:
    kind = "envoy.extensions.filters.http.router.v3.Router"
    return typed("envoy.filters.http.router", kind, {"suppress_envoy_headers": True})


def _own_answers() -> Config:
    """What the gateway answers itself is a problem (RFC 9457) like any other; agents get a gRPC
    status.
    """
    agents = {
        "filter": {
            "header_filter": {
                "header": {"name": "content-type", "string_match": {"prefix": GRPC_TYPE}}
            }
        },
        "body_format_override": _text("%LOCAL_REPLY_BODY%"),
    }
    unavailable = {
        "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": _runtime(503)}}},
        "headers_to_add": [{"header": {"key": "retry-after", "value": "2"}}],
        "body_format_override": _problem(UNAVAILABLE, code="unavailable"),
    }
    too_many = {
        "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": _runtime(429)}}},
        "body_format_override": _problem(TOO_MANY, code="rate_limited"),
    }
    return {
        "mappers": [agents, unavailable, too_many],
        "body_format": _problem("%LOCAL_REPLY_BODY%", code="gateway"),
    }


def _problem(detail: str, *, code: str) -> Config:
    fields = {
        "type": "about:blank",
        "title": "The gateway answers",
        "status": "%RESPONSE_CODE%",
        "detail": detail,
        "code": code,
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    return {"json_format": fields, "content_type": "application/problem+json"}


def _text(text: str) -> Config:
    return {"text_format_source": {"inline_string": text}}


def _access_log(plan: Plan) -> Config:
    fields = {
        "timestamp": "%START_TIME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "protocol": "%PROTOCOL%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS_NUMBER%",
        "milliseconds": "%DURATION%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "flags": "%RESPONSE_FLAGS%",
    }
    log = {"path": str(plan.access_log), "log_format": {"json_format": fields}}
    return typed(
        "envoy.access_loggers.file", "envoy.extensions.access_loggers.file.v3.FileAccessLog", log
    )


def _runtime(value: int) -> Config:
    return {"default_value": value, "runtime_key": f"orchestra.status_{value}"}
