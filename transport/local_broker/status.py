"""How a home's broker is doing."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BrokerStatus:
    """How the home's broker is doing."""

    running: bool
    """Its process is alive."""
    ready: bool
    """It answers."""
    pid: int | None
    bootstrap_servers: str | None
    """host:port for clients; None before the first start."""
    cluster_id: str | None
    data: Path
    log: Path
    started: bool = False
    """This very call started it."""
    notice: str = ""
    """What the user should know, such as why the port isn't the last one; empty as a rule."""
