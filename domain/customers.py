"""Customer ids: one form for each customer, so that each has one account and one limit."""

_LEAST_DIGITS = 5
_MOST_DIGITS = 18


def is_canonical(customer_id: str) -> bool:
    """Whether an id is written in its one form, as the data set writes it: ``00042``.

    Digits, with zeros in front up to five digits, and no other zeros in front.
    """
    return canonical(customer_id) == customer_id


def canonical(text: str) -> str | None:
    """The one form of a customer id that a person may have written otherwise; `None` if it is none.

    ``42``, ``042`` and ``00042`` are ``00042``.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    written = text.lstrip("0").zfill(_LEAST_DIGITS)
    return written if len(written) <= _MOST_DIGITS else None
