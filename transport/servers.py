"""Where a broker is, and who asks: an address alone, or one with a name and a password."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.errors import NotLetIn

MECHANISM = "SCRAM-SHA-512"
"""How a password is shown to a broker that speaks SASL_SSL; it never goes over the wire."""


@dataclass(frozen=True)
class SecuredServers:
    """A broker that speaks SASL_SSL, and as whom it is spoken with; as text its address alone."""

    addresses: str
    """host:port, separated by commas."""
    username: str
    password: str = field(repr=False)
    ca: Path
    """The certificate (PEM) of the authority that signed the brokers'."""

    def __str__(self) -> str:
        return self.addresses


Servers = str | SecuredServers
"""Where a broker is: host:port, separated by commas, for one that asks for no password."""


def client_settings(servers: Servers) -> dict[str, Any]:
    """The settings of librdkafka by which a client reaches a broker, and by no other way.

    Raises:
        NotLetIn: the authority's certificate can't be read.
    """
    if isinstance(servers, str):
        return {"bootstrap.servers": servers}
    tls_context(servers)
    return {
        "bootstrap.servers": servers.addresses,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": MECHANISM,
        "sasl.username": servers.username,
        "sasl.password": servers.password,
        "ssl.ca.location": str(servers.ca),
        "ssl.endpoint.identification.algorithm": "https",
    }


def tls_context(servers: SecuredServers) -> ssl.SSLContext:
    """TLS that trusts the one authority, and only in the name that was asked for.

    Raises:
        NotLetIn: the authority's certificate can't be read.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(servers.ca))
    except (OSError, ssl.SSLError) as error:
        raise NotLetIn(
            f"the certificate {servers.ca}, by which brokers are known, can't be read: "
            f"{error.strerror or error}. KAFKA_SSL_CA must name a PEM file, such as the ca.pem "
            "that `shop secrets create` made"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def principal(servers: Servers) -> str:
    """As whom a broker is asked, in Kafka's words."""
    return f"User:{servers.username}" if isinstance(servers, SecuredServers) else "User:ANONYMOUS"
