"""`shop positions`: how far services have read, where somebody has to decide about it."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.composition import SERVICES, bootstrap_servers, payment_service, require_home, topic_lives
from cli.console import out
from cli.responding import RESPONDER
from cli.settings import Settings
from services.letters import DEAD_LETTERS, LetterDesk
from services.topic_lives import TopicLives
from transport.clients import cluster_id
from transport.servers import Servers

NAMES = (*SERVICES, RESPONDER, DEAD_LETTERS)

positions_app = typer.Typer(help="How far services have read.", no_args_is_help=True)


@positions_app.command("accept")
def accept(service: Annotated[str, typer.Argument(help=" | ".join(NAMES))]) -> None:
    """Give up records that are gone: let a service go on with its topics as they are now.

    For a topic that was made anew, or whose first records were deleted before the service read
    them. What is given up is said.
    """
    if service not in NAMES:
        raise typer.BadParameter(f"{service!r} is not one of {', '.join(NAMES)}")
    settings = Settings()
    require_home(settings)
    servers = bootstrap_servers(settings)
    said = _lives(settings, servers, service).accept(datetime.now(UTC))
    for each in said or ["nothing was to be accepted"]:
        out.print(f"{service}: {each}", markup=False, highlight=False, soft_wrap=True)


def _lives(settings: Settings, servers: Servers, service: str) -> TopicLives:
    if service == DEAD_LETTERS:
        desk = LetterDesk(settings.database("dead_letters"))
        desk.database.bind_to_cluster(cluster_id(servers))
        return desk.lives(servers)
    made = payment_service if service == RESPONDER else SERVICES[service]
    database = made(settings).database
    database.bind_to_cluster(cluster_id(servers))
    return topic_lives(service, servers, database)
