"""The broker's two ports: chosen at the first start and remembered in the home."""

import json
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from domain.errors import BrokerError
from transport.local_broker.server_properties import HOST
from transport.local_broker.whole_file import write_whole

# Below the range from which systems take the ports of outgoing connections, which would otherwise
# take a remembered port now and then.
_LOWEST, _COUNT = 20_000, 12_000


@dataclass(frozen=True)
class Ports:
    """The clients' port and the controller's."""

    broker: int
    controller: int


def load_ports(file: Path) -> Ports | None:
    """The remembered ports; None where there are none, or what is there can't be read."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        read = json.loads(file.read_text(encoding="utf-8"))
        return Ports(int(read["broker"]), int(read["controller"]))
    return None


def save_ports(file: Path, ports: Ports) -> None:
    """Remember the ports."""
    write_whole(file, json.dumps({"broker": ports.broker, "controller": ports.controller}))


def choose_ports(remembered: Ports | None, explicit: int | None) -> tuple[Ports, str]:
    """The ports to start with, and what is to be said about them: nothing, or why they changed.

    Raises:
        BrokerError: the port that was asked for is taken, or no free one can be found.
    """
    notice = ""
    if explicit is not None:
        if not is_free(explicit):
            raise BrokerError(
                f"Port {explicit} on {HOST} is taken by another process, or not allowed. End that "
                "process, set SHOP_BROKER_PORT to another port, or unset it: then a free one is "
                "chosen."
            )
        broker = explicit
    elif remembered is None:
        broker = _free_port()
    elif is_free(remembered.broker):
        broker = remembered.broker
    else:
        broker = _free_port()
        notice = (
            f"Port {remembered.broker} of the last start is taken by another process now; "
            f"the broker uses {broker} from here on."
        )
    if remembered and remembered.controller != broker and is_free(remembered.controller):
        controller = remembered.controller
    else:
        controller = _free_port(other_than=broker)
    return Ports(broker, controller), notice


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # As Java does: connections of an ended broker that still fade away don't matter.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port(other_than: int = 0) -> int:
    for _ in range(1000):
        port = _LOWEST + secrets.randbelow(_COUNT)
        if port != other_than and is_free(port):
            return port
    raise BrokerError(
        f"No free port was found between {_LOWEST} and {_LOWEST + _COUNT} on {HOST}. Set "
        "SHOP_BROKER_PORT to a port that is free."
    )
