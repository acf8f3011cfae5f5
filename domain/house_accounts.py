"""The house accounts: terms for customers of whom only the number is known."""

from dataclasses import dataclass

from domain.authorization import AccountTerms
from domain.money import Money


@dataclass(frozen=True)
class HouseAccounts:
    """Rules that give every customer number an account.

    Customers divisible by `closed_divisor` have a closed account; else those divisible by
    `wrong_address_divisor` gave the shop another address than the bank knows.
    """

    monthly_limit: Money
    closed_divisor: int = 97
    wrong_address_divisor: int = 89

    def terms_of(self, customer_id: str) -> AccountTerms:
        """The terms of a customer's account, as the payment service keeps them."""
        number = int(customer_id)
        closed = number % self.closed_divisor == 0
        moved = not closed and number % self.wrong_address_divisor == 0
        address = (
            f"moved from {house_address(customer_id)}" if moved else house_address(customer_id)
        )
        return AccountTerms(closed, address, self.monthly_limit)


def house_address(customer_id: str) -> str:
    """The billing address that a customer gives with every order."""
    return f"{int(customer_id)} Order Street"
