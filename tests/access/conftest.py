"""One secured broker for all tests of a module, with topics, passwords and ACLs."""

from collections.abc import Iterator, Sequence

import pytest

from domain.principals import Principal
from tests.conftest import Home
from tests.secured_broker import SecuredBroker, secured_broker
from transport.access import Right, rights
from transport.acls import Difference, acl_of, difference, make_so, set_passwords
from transport.topics import create_topics


def home_of(broker: SecuredBroker, home: Home, principal: str) -> Home:
    """The same home, for a process of a principal."""
    return Home(home.path, {**home.settings, **broker.environment(principal)})


def change(
    broker: SecuredBroker, *, give: Sequence[Right] = (), take: Sequence[Right] = ()
) -> None:
    """Give and take rights, as someone who is admin can."""
    given, taken = ([acl_of(right) for right in rights] for rights in (give, take))
    make_so(broker.servers("admin"), Difference(given, taken, ()))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    folder = tmp_path_factory.mktemp("secured")
    with secured_broker(folder) as made:
        admin = made.servers("admin")
        create_topics(admin, 4, 1, 3650)
        set_passwords(admin, {each: made.password(each) for each in Principal})
        make_so(admin, difference(admin, rights()))
        yield made
