"""Where the control planes of one machine listen."""

import pytest
from orchestra.foundation.settings import Settings
from orchestra.processes import gateway
from orchestra.processes.planes import control_planes


def test_a_single_one_has_the_plain_name_and_address() -> None:
    settings = Settings()
    (plane,) = control_planes(settings)
    assert (plane.name, plane.listen) == ("control-plane", settings.control_plane_listen)


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("unix:/run/it.sock", ["unix:/run/it-1.sock", "unix:/run/it-2.sock"]),
        ("127.0.0.1:9000", ["127.0.0.1:9000", "127.0.0.1:9100"]),
    ],
)
def test_several_have_numbers(listen: str, expected: list[str]) -> None:
    settings = Settings(control_planes=2, control_plane_listen=listen)
    planes = control_planes(settings)
    assert [plane.name for plane in planes] == ["control-plane-1", "control-plane-2"]
    assert [plane.listen for plane in planes] == expected
    assert len({plane.probes for plane in planes}) == 2


def test_the_gateway_knows_them_all(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = Settings(data_dir=tmp_path_factory.mktemp("gw"), control_planes=3)
    prepared = gateway.prepare(settings)
    text = prepared.configuration.read_text()
    for plane in control_planes(settings):
        assert f"port_value: {plane.listen.rpartition(':')[2]}" in text
