"""The gRPC server: health, reflection, TLS, and the end."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from toro_core.channel import core_tls
from toro_core.server import serve_core
from toro_core.service import Service
from toro_core.settings import Settings, SettingsError
from toro_core.v1 import (
    CallError,
    Core,
    GetCapabilitiesRequest,
    GetResourceRequest,
    Metadata,
    Tls,
    connect,
)


@asynccontextmanager
async def channel_to(service: Service, settings: Settings) -> AsyncIterator[grpc.aio.Channel]:
    async with serve_core(service, settings) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel


async def test_health_is_served(service: Service, settings: Settings) -> None:
    async with channel_to(service, settings) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def services(channel: Any) -> set[str]:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    return {one.name async for answer in call for one in answer.list_services_response.service}


async def test_reflection_is_off_unless_asked_for(service: Service, settings: Settings) -> None:
    async with channel_to(service, settings) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await services(channel)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_reflection_names_every_service(service: Service, settings: Settings) -> None:
    async with channel_to(service, replace(settings, core_reflection=True)) as channel:
        assert await services(channel) == {
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
            "toro.v1.CapabilityService",
            "toro.v1.ClientService",
            "toro.v1.ExportService",
            "toro.v1.OperationService",
            "toro.v1.ResourceService",
        }


async def test_a_method_that_is_not_there_is_unimplemented(service: Service, settings: Settings) -> None:
    async with channel_to(service, settings) as channel:
        ask: Any = channel.unary_unary("/toro.v1.ResourceService/Nothing")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_that_is_no_message_is_refused(service: Service, settings: Settings) -> None:
    async with channel_to(service, settings) as channel:
        ask: Any = channel.unary_unary("/toro.v1.ResourceService/GetResource")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(b"\xff" * 9)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "GetResourceRequest" in (caught.value.details() or "")


async def test_an_address_that_is_taken_is_said(service: Service, settings: Settings) -> None:
    async with serve_core(service, settings) as port:
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            async with serve_core(service, replace(settings, core_listen=f"127.0.0.1:{port}")):
                pass


async def test_a_socket_of_the_machine_serves(service: Service, settings: Settings, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/toro.sock"
    async with serve_core(service, replace(settings, core_listen=address)), connect(address) as core:
        assert (await core.GetCapabilities(GetCapabilitiesRequest())).fhir_version == "4.0.1"


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "example.org:9090"])
async def test_plain_text_beyond_loopback_is_refused(service: Service, settings: Settings, address: str) -> None:
    with pytest.raises(SettingsError, match="core_tls_certificate"):
        async with serve_core(service, replace(settings, core_listen=address)):
            pass


async def test_plain_text_beyond_loopback_is_served_to_who_insists(service: Service, settings: Settings) -> None:
    options = replace(settings, core_listen="0.0.0.0:0", insecure=True)
    async with serve_core(service, options) as port, connect(f"127.0.0.1:{port}") as core:
        assert (await core.GetCapabilities(GetCapabilitiesRequest())).fhir_version


async def test_calls_under_way_are_finished_at_the_end(
    service: Service, settings: Settings, partner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()
    metadata: Metadata = await partner.may("system/*.cruds")
    name = (await partner.create({"resourceType": "Patient"})).name
    read = partner.storage.read

    async def slow(*arguments: Any) -> Any:
        started.set()
        await go_on.wait()
        return await read(*arguments)

    monkeypatch.setattr(type(partner.storage), "read", lambda _, *arguments: slow(*arguments))
    serving = serve_core(service, settings)
    port = await serving.__aenter__()
    async with connect(f"127.0.0.1:{port}") as core:
        call = asyncio.ensure_future(core.GetResource(GetResourceRequest(name=name), metadata=metadata))
        await started.wait()
        ending = asyncio.ensure_future(serving.__aexit__(None, None, None))
        await asyncio.sleep(0.05)
        assert not ending.done()
        go_on.set()
        assert (await call).resource.name == name
        await ending


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an authority, a server's and a client's certificate of it, and a stranger's of another."""
    folder = tmp_path_factory.mktemp("tls")
    for authority, names in (("authority", ("server", "client")), ("others", ("stranger",))):
        key, certificate = issue(authority)
        write(folder / authority, key, certificate)
        for name in names:
            write(folder / name, *issue(name, key, certificate))
    return folder


def issue(
    name: str, signer: ec.EllipticCurvePrivateKey | None = None, issuer: x509.Certificate | None = None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signer or key, hashes.SHA256())
    )
    return key, certificate


def write(path: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    pem = serialization.Encoding.PEM
    path.with_suffix(".pem").write_bytes(certificate.public_bytes(pem))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def tls(folder: Path, name: str, authority: str = "authority") -> Tls:
    return Tls(certificate=folder / f"{name}.pem", key=folder / f"{name}.key", authority=folder / f"{authority}.pem")


@pytest.fixture
def protected(settings: Settings, certificates: Path) -> Settings:
    return replace(
        settings,
        core_listen="0.0.0.0:0",
        core_tls_certificate=str(certificates / "server.pem"),
        core_tls_key=str(certificates / "server.key"),
        core_tls_ca=str(certificates / "authority.pem"),
    )


async def test_both_sides_show_certificates(service: Service, protected: Settings, certificates: Path) -> None:
    assert core_tls(protected) == tls(certificates, "server")
    async with (
        serve_core(service, protected) as port,
        connect(f"localhost:{port}", tls=tls(certificates, "client")) as core,
    ):
        assert (await core.GetCapabilities(GetCapabilitiesRequest(), timeout=10)).fhir_version == "4.0.1"


@pytest.mark.parametrize("other", ["plain", "stranger", "strange server"])
async def test_who_shows_none_or_anothers_is_not_served(
    service: Service, protected: Settings, certificates: Path, other: str
) -> None:
    given = {
        "plain": None,
        "stranger": tls(certificates, "stranger"),
        "strange server": tls(certificates, "client", "others"),
    }[other]
    async with serve_core(service, protected) as port, connect(f"localhost:{port}", tls=given) as core:
        with pytest.raises(CallError) as caught:
            await core.GetCapabilities(GetCapabilitiesRequest(), timeout=10)
    assert caught.value.code == "UNAVAILABLE"


def test_no_certificate_is_plain_text(settings: Settings) -> None:
    assert core_tls(settings) is None


def test_a_core_is_one_class_over_both_transports(local: Core, remote: Core) -> None:
    assert type(local) is type(remote)
