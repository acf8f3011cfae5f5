"""The projections: one file each, found by its being here."""

from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules

from reporting.projection import Projection


@lru_cache(maxsize=1)
def all_projections() -> dict[str, Projection]:
    """All projections by name: each module of this package has one, called `PROJECTION`."""
    found: dict[str, Projection] = {}
    for module in sorted(each.name for each in iter_modules(__path__)):
        made: Projection = import_module(f"{__name__}.{module}").PROJECTION
        found[made.name] = made
    return found
