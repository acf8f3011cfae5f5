"""All databases by name, and how each is opened, which makes its tables in an empty place."""

from collections.abc import Callable, Mapping

from domain.house_accounts import HouseAccounts
from domain.money import Money
from event_log.database import Database, Place
from reporting.projector import open_projections
from reporting.proofs import ProofRow
from services.letters import LetterDesk
from services.order import OrderService
from services.payment import PaymentService
from services.recorder import open_log
from services.warehouse import WarehouseService

# Opened for its tables only: nobody is charged by these terms.
_NO_TERMS = HouseAccounts(Money(0, "USD"))

OPENED: Mapping[str, Callable[[Place], Database]] = {
    "event_log": open_log,
    "order": lambda place: OrderService(place).database,
    "payment": lambda place: PaymentService(place, _NO_TERMS).database,
    "warehouse": lambda place: WarehouseService(place).database,
    "report": open_projections,
    "dead_letters": lambda place: LetterDesk(place).database,
    "proofs": lambda place: Database(place, [ProofRow]),
}
