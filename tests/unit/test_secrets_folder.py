"""`shop secrets create`: what is in the folder, for whom, and until when."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store
from typer.testing import CliRunner

from cli.main import app
from cli.secrets_folder import HOSTS, make_folder, renew_certificate, renew_passwords
from domain.errors import ShopError
from domain.principals import Principal

NOW = datetime.now(UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    make_folder(made, [*HOSTS, "broker.example"], 30, NOW)
    return made


def contents(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): file.read_text()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_each_principal_has_passwords_of_its_own(folder: Path) -> None:
    found = contents(folder)
    passwords = [
        found.pop(f"{principal}/{name}")
        for principal in Principal
        for name in ("kafka_sasl_password", "shop_database_password")
    ]
    # A service is given its own folder alone, and must know the broker by something.
    assert {found.pop(f"{principal}/ca.pem") for principal in Principal} == {found["ca.pem"]}
    assert len(set(passwords)) == 2 * len(Principal)
    assert all(len(password) >= 40 for password in passwords)
    assert set(found) == {
        ".gitignore",
        "ca.key",
        "ca.pem",
        "broker/keystore.pem",
        "broker/truststore.pem",
        "broker/kafka_sasl_password",
        "broker/cluster_id",
    }
    assert found["broker/kafka_sasl_password"] == passwords[2 * list(Principal).index("admin")]
    assert found["broker/truststore.pem"] == found["ca.pem"]
    assert found[".gitignore"] == "*\n"


def test_each_installation_has_a_cluster_id_of_its_own(folder: Path, tmp_path: Path) -> None:
    make_folder(tmp_path / "other", HOSTS, 1, datetime.now(UTC))
    ids = {contents(each)["broker/cluster_id"] for each in (folder, tmp_path / "other")}
    assert len(ids) == 2
    assert {len(each) for each in ids} == {22}
    start = (Path(__file__).parents[2] / "deploy/kafka/start.sh").read_text()
    assert '--cluster-id "$(cat /run/secrets/broker/cluster_id)"' in start


def test_nobody_else_can_read_them(folder: Path) -> None:
    modes = {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in [folder, *folder.rglob("*")]
    }
    assert modes == {name: 0o700 if (folder / name).is_dir() else 0o600 for name in modes}


@pytest.mark.parametrize("host", [*HOSTS, "broker.example"])
def test_the_broker_s_certificate_is_signed_for_its_names_by_the_authority(
    folder: Path, host: str
) -> None:
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    broker = x509.load_pem_x509_certificate((folder / "broker/keystore.pem").read_bytes())
    subject = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    policy = PolicyBuilder().store(Store([authority]))
    policy.build_server_verifier(subject).verify(broker, [])
    client = policy.build_client_verifier().verify(broker, [])
    assert client is not None


def test_the_certificate_is_the_broker_s_alone_and_ends_when_it_was_told(folder: Path) -> None:
    pem = (folder / "broker/keystore.pem").read_bytes()
    broker = x509.load_pem_x509_certificate(pem)
    assert broker.subject.rfc4514_string() == "CN=broker"
    assert load_pem_private_key(pem, None).public_key() == broker.public_key()
    usage = broker.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not broker.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert abs(broker.not_valid_after_utc - NOW - timedelta(days=30)) < timedelta(seconds=2)
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    assert len(context.get_ca_certs()) == 1


def test_what_is_there_is_not_overwritten(folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(ShopError, match="is there already"):
        make_folder(folder, HOSTS, 30, NOW)
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("principal", [Principal.PAYMENT, Principal.ADMIN])
def test_one_principal_s_passwords_are_renewed(folder: Path, principal: Principal) -> None:
    before = contents(folder)
    renew_passwords(folder, principal)
    after = contents(folder)
    own = {f"{principal}/kafka_sasl_password", f"{principal}/shop_database_password"}
    if principal is Principal.ADMIN:
        for name in own:
            assert after.pop(f"{name}.former") == before[name]
        assert after["broker/kafka_sasl_password"] == after["admin/kafka_sasl_password"]
        own.add("broker/kafka_sasl_password")
    assert {name for name in after if after[name] != before[name]} == own
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in after} == {0o600}


def test_the_broker_s_certificate_is_renewed_by_the_same_authority(folder: Path) -> None:
    before = contents(folder)
    renew_certificate(folder, HOSTS, 60, NOW)
    after = contents(folder)
    assert {name for name in after if after[name] != before[name]} == {"broker/keystore.pem"}
    assert stat.S_IMODE((folder / "broker/keystore.pem").stat().st_mode) == 0o600
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    x509.load_pem_x509_certificate(after["broker/keystore.pem"].encode()).verify_directly_issued_by(
        authority
    )


def test_the_command_says_until_when_and_nothing_secret(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    for more in ([], ["--renew", "order"], ["--renew", "broker", "--host", "kafka-9"]):
        done = CliRunner().invoke(app, ["secrets", "create", str(folder), *more])
        assert done.exit_code == 0, done.output
        assert "the broker's certificate ends on" in done.output
        assert "the authority's certificate ends on" in done.output
        for name, content in contents(folder).items():
            assert name.startswith(".") or content.strip() not in done.output
    done = CliRunner().invoke(app, ["secrets", "create", str(folder), "--renew", "mallory"])
    assert done.exit_code == 2
    done = CliRunner().invoke(app, ["secrets", "create", str(folder)])
    assert isinstance(done.exception, ShopError)


def test_a_folder_of_secrets_stays_out_of_the_repository_and_of_the_image() -> None:
    root = Path(__file__).parents[2]
    assert "secrets/" in (root / ".gitignore").read_text().splitlines()
    assert "**/secrets" in (root / ".dockerignore").read_text().splitlines()
