"""Who takes part: the names by which broker and database know processes and people."""

from enum import StrEnum

BROKER = "broker"
"""A node in its certificate, by which `deploy/kafka/server.properties` knows it."""


class Principal(StrEnum):
    """A name with rights of its own, on Kafka ``User:<name>``, in Postgres ``shop_<name>``."""

    ORDER = "order"
    """The order service, and who places or asks: `shop place`, `shop ask`, `shop requests`."""
    PAYMENT = "payment"
    RESPONDER = "responder"
    """The payment service, asked by messages."""
    WAREHOUSE = "warehouse"
    RECORDER = "recorder"
    PROJECTOR = "projector"
    DASHBOARD = "dashboard"
    OPERATOR = "operator"
    """People: `shop status`, `shop prove`, `shop dead-letters`."""
    ADMIN = "admin"
    """Sets up; may do everything."""
