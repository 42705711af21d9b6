"""The doors: plain HTTP/1.1 and 2, the same with TLS, and HTTP/3, all with the same routes and
filters.
"""

from orchestra.engines.certificates import Certificate
from orchestra.engines.envoy.connections import connections
from orchestra.engines.envoy.plan import Door, Plan
from orchestra.engines.envoy.typed import Config, typed

CONNECTION_WINDOW_BYTES = 1024 * 1024
ALTERNATIVE_SECONDS = 86_400


def listeners(plan: Plan) -> list[Config]:
    alternative = f'h3=":{plan.https.port}"; ma={ALTERNATIVE_SECONDS}'
    https_headers: Config = {"alt-svc": alternative}
    return [
        _tcp("http", plan.http, {"filters": [connections(plan, "http", "AUTO", {})]}),
        _tcp(
            "https",
            plan.https,
            _encrypted(plan, connections(plan, "https", "AUTO", https_headers)),
        ),
        _quic(plan, connections(plan, "http3", "HTTP3", https_headers)),
    ]


def _tcp(name: str, door: Door, chain: Config) -> Config:
    return {
        "name": name,
        **_address(door),
        "filter_chains": [chain],
        "per_connection_buffer_limit_bytes": CONNECTION_WINDOW_BYTES,
    }


def _encrypted(plan: Plan, manager: Config) -> Config:
    context = {"common_tls_context": _tls(plan.certificate, "h2", "http/1.1")}
    kind = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    return {
        "filters": [manager],
        "transport_socket": typed("envoy.transport_sockets.tls", kind, context),
    }


def _quic(plan: Plan, manager: Config) -> Config:
    kind = "envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport"
    tls = {"downstream_tls_context": {"common_tls_context": _tls(plan.certificate, "h3")}}
    return {
        "name": "http3",
        **_address(plan.https, protocol="UDP"),
        "udp_listener_config": {
            "quic_options": {},
            "downstream_socket_config": {"prefer_gro": True},
        },
        "filter_chains": [
            {
                "filters": [manager],
                "transport_socket": typed("envoy.transport_sockets.quic", kind, tls),
            }
        ],
    }


def _address(door: Door, *, protocol: str = "TCP") -> Config:
    first, *more = (
        {"socket_address": {"protocol": protocol, "address": address, "port_value": door.port}}
        for address in door.addresses
    )
    return {"address": first, "additional_addresses": [{"address": address} for address in more]}


def _tls(certificate: Certificate, *protocols: str) -> Config:
    files = {
        "certificate_chain": {"filename": str(certificate.chain)},
        "private_key": {"filename": str(certificate.key)},
    }
    return {
        "alpn_protocols": list(protocols),
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificates": [files],
    }
