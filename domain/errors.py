"""The project's errors, in one tree.

::

    ShopError                  anything this project refuses, with what to do
    ├── MoneyError             an amount that is no exact number of minor units
    ├── ContractError          a record that breaks its contract: a dead letter
    │   ├── MalformedRecord    headers or body can't be decoded
    │   ├── OutOfBounds        a customer id, a time or an amount beyond the contract's bounds
    │   ├── UnknownType        well formed, but of a type that nobody handles here
    │   ├── CurrencyMismatch   an order in a currency that the account doesn't hold
    │   ├── OrderConflict      an order id that is another order already
    │   └── IdReused           an event id that stood for something else before
    ├── PurchaseLineError      a line of the purchase file that is no purchase
    ├── BrokerError            the broker can't be had, started or reached
    │   ├── NotLetIn           it is there, and password, certificate or protocol is the wrong one
    │   ├── AccessDenied       a right that this process's principal doesn't have
    │   └── JarError           a jar that can't be downloaded, or isn't the one recorded
    ├── StoreError             a database that can't be used as it is
    │   └── ForeignCluster     a database that was fed by another Kafka cluster
    └── OffsetGap              records that the topic no longer has, and nobody handled
"""


class ShopError(Exception):
    """Anything this project refuses; the message says what happened, where, and what to do."""


class MoneyError(ShopError):
    """An amount that is negative, fractional in minor units, or not a number."""


class ContractError(ShopError):
    """A record that breaks its contract; it is kept as a dead letter."""


class MalformedRecord(ContractError):
    """Headers or body that can't be decoded as the contract says."""


class OutOfBounds(ContractError):
    """A customer id, a business time or an amount that is beyond the contract's bounds."""


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


class BrokerError(ShopError):
    """The broker can't be had, started or reached."""


class NotLetIn(BrokerError):
    """A broker that is there, with which a password, a certificate or the protocol doesn't fit."""


class AccessDenied(BrokerError):
    """Something that the broker doesn't let this process's principal do."""


class JarError(BrokerError):
    """A jar that can't be downloaded, or isn't the one whose SHA-256 sum is recorded."""


class StoreError(ShopError):
    """A database that can't be used as it is."""


class ForeignCluster(StoreError):
    """A database that was fed by another Kafka cluster than the one at hand."""


class OffsetGap(ShopError):
    """Records that were never handled and that the topic no longer has."""
