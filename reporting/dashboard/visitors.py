"""Who may look at the dashboard, by what an OpenID provider says of him."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import ShopError


@dataclass(frozen=True)
class Visitors:
    """The people who may look.

    Attributes:
        addresses: e-mail addresses, each of one person.
        domains: domains, each of whose addresses will do; those below a domain are others.
    """

    addresses: frozenset[str]
    domains: frozenset[str]

    def refusal(self, claims: Mapping[str, object]) -> str | None:
        """Why the person whose claims these are may not look, as a sentence; `None` if he may.

        Claims are those of OpenID Connect Core 1.0, section 5.1. A provider that doesn't say
        whether an address is verified is believed: it hands out addresses itself then.
        """
        address = claims.get("email")
        if not isinstance(address, str) or not _is_address(address):
            return "Your login has no e-mail address, by which this dashboard knows who may look."
        if claims.get("email_verified", True) not in (True, "true"):
            return f"Nobody has verified yet that {address} is yours: do so where you log in."
        known = _one_case(address)
        if known in self.addresses or known.rpartition("@")[2] in self.domains:
            return None
        return f"{address} isn't among those who may look at this dashboard."


def visitors_of(entries: tuple[str, ...]) -> Visitors:
    """Who may look, from addresses and domains (``example.com`` or ``@example.com``).

    Raises:
        ShopError: an entry is neither.
    """
    addresses, domains = set(), set()
    for entry in entries:
        domain = entry.removeprefix("@")
        if _is_address(entry):
            addresses.add(_one_case(entry))
        elif _is_address(f"a@{domain}") and "." in domain:
            domains.add(_one_case(domain))
        else:
            raise ShopError(f"{entry!r} is neither an e-mail address nor a domain")
    return Visitors(frozenset(addresses), frozenset(domains))


def _is_address(text: str) -> bool:
    name, at, domain = text.partition("@")
    return (
        bool(name and at and domain)
        and "@" not in domain
        and text.isprintable()
        and " " not in text
    )


def _one_case(text: str) -> str:
    # Outside ASCII other letters become the same ones: the Kelvin sign is a k in small.
    return text.lower() if text.isascii() else text
