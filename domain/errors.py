"""The project's errors, in one tree.

::

    ShopError                  anything this project refuses, with what to do
    ├── MoneyError             an amount that is no exact number of minor units
    ├── ContractError          a record that breaks its contract: a dead letter
    │   ├── MalformedRecord    headers or body can't be decoded
    │   ├── OutOfBounds        a customer id, time, amount or currency beyond the contract's bounds
    │   ├── UnknownType        well formed, but of a type that nobody handles here
    │   ├── CurrencyMismatch   an order in a currency that the account doesn't hold
    │   ├── OrderConflict      an order id that is another order already
    │   └── IdReused           an event id that stood for something else before
    ├── PurchaseLineError      a line of the purchase file that is no purchase
    ├── PurchaseFileError      a purchase file that can't be placed as it is
    ├── BrokerError            the broker can't be had, started or reached
    │   ├── NotLetIn           it is there, and password, certificate or protocol is the wrong one
    │   ├── AccessDenied       a right that this process's principal doesn't have
    │   ├── RecordsRefused     records that the broker will not take, now or later
    │   └── JarError           a jar that can't be downloaded, or isn't the one recorded
    ├── StoreError             a database that can't be used as it is
    │   ├── StoreAway          a database that can't be used at the moment: it may be in the next
    │   ├── StoreHeld          what another process is doing to a database, and only one may
    │   ├── StoreBehind        a database that has less than this process has committed to it
    │   ├── ForeignCluster     a database that was fed by another Kafka cluster
    │   └── ForeignTopic       a topic that was made anew, or lost what was read from it
    ├── UnsafeTopic            a topic whose settings can lose records that nobody has read
    └── OffsetGap              records that the topic no longer has, and nobody handled
"""

from collections.abc import Mapping
from typing import Self


class ShopError(Exception):
    """Anything this project refuses; the message says what happened, where, and what to do."""


class MoneyError(ShopError):
    """An amount that is negative, fractional in minor units, or not a number."""


class ContractError(ShopError):
    """A record that breaks its contract; it is kept as a dead letter."""

    def kept(self) -> Self:
        """The error without its traceback, to be kept beside what it is about.

        A traceback holds all that was at hand where it was raised, and through who called there
        also the list that the error is kept in: a circle, whose records would stay in memory until
        the next garbage collection.
        """
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


class MalformedRecord(ContractError):
    """Headers or body that can't be decoded as the contract says."""


class OutOfBounds(ContractError):
    """A customer id, business time, amount or currency beyond the contract's bounds."""


class UnknownType(ContractError):
    """A well-formed record of a type that has no contract here."""


class CurrencyMismatch(ContractError):
    """An order in a currency that the customer's account doesn't hold."""


class OrderConflict(ContractError):
    """An order id under which another order was placed already."""


class IdReused(ContractError):
    """An event id that was used before, with another body."""


class PurchaseLineError(ShopError):
    """A line of the purchase file that is no purchase."""


class PurchaseFileError(ShopError):
    """A purchase file that can't be read, or that must not be placed as it is."""


class BrokerError(ShopError):
    """The broker can't be had, started or reached."""

    arrived: frozenset[int] = frozenset()
    """Where not all of some records arrived, which did all the same, by their places."""


class NotLetIn(BrokerError):
    """A broker that is there, with which a password, a certificate or the protocol doesn't fit."""


class AccessDenied(BrokerError):
    """Something that the broker doesn't let this process's principal do."""


class RecordsRefused(BrokerError):
    """Records that the broker will not take as they are; all others of their batch arrived."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        """By place in the batch, why each was refused."""
        self.reasons = reasons
        why = next(iter(reasons.values()))
        super().__init__(f"{len(reasons)} records are refused, and would be again; one is {why}")


class JarError(BrokerError):
    """A jar that can't be downloaded, or isn't the one whose SHA-256 sum is recorded."""


class StoreError(ShopError):
    """A database that can't be used as it is."""


class StoreAway(StoreError):
    """A database that can't be used at the moment: locked, full, ending, starting or not there."""


class StoreHeld(StoreError):
    """Something that only one process may do to a database at a time, and another one does."""


class StoreBehind(StoreError):
    """A database that was put back under a running process, or a standby that lost the tail."""


class ForeignCluster(StoreError):
    """A database that was fed by another Kafka cluster than the one at hand."""


class ForeignTopic(StoreError):
    """A topic that isn't the one a database was fed by, or doesn't have any more what it had."""


class UnsafeTopic(ShopError):
    """A topic that somebody gave settings by which unread records can vanish."""


class OffsetGap(ShopError):
    """Records that were never handled and that the topic no longer has."""
