"""Whole numbers that outgrow 64 bits: sums of amounts, exact in SQLite and in Postgres.

SQLite's integers have 64 bits, and its sums fail beyond. So a sum is kept as an integer as long as
it is one, and as its digits beyond; in Postgres it is a NUMERIC.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, Numeric
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

_LARGEST = 2**63 - 1
_PART = 1_000_000_000
_PART_DIGITS = 9


class _AsItComes(UserDefinedType[Any]):
    """A column of SQLite's that changes nothing: any other would make a real of so many digits."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The name of a type without affinity."""
        return "BLOB"


class Whole(TypeDecorator[int]):
    """A whole number of any size."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """What the database has for it."""
        return dialect.type_descriptor(_AsItComes() if dialect.name == "sqlite" else Numeric())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        """Write it as the database keeps it."""
        return value if value is None or dialect.name != "sqlite" else kept(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Read it from what the database has."""
        number: int | None = whole(value)
        return number


def kept(value: int) -> int | str:
    """A whole number as SQLite keeps it."""
    return value if -_LARGEST <= value <= _LARGEST else str(value)


def whole(value: Any) -> Any:
    """The whole number that a database's value is; what is none stays as it is."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value


def sum_in(dialect: str, column: str) -> str:
    """SQL that adds up integers of 64 bits exactly; 0 where there are none.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        column: a name, or an expression.
    """
    if dialect != "sqlite":
        return f"coalesce(sum({column}), 0)"
    return _of_parts(f"({column}) / {_PART}", f"({column}) % {_PART}")


def _of_parts(upper: str, lower: str) -> str:
    # What is said several times is computed once.
    uppers, lowers = f"coalesce(sum({upper}), 0)", f"coalesce(sum({lower}), 0)"
    # Of the last part that 64 bits can hold, some numbers fit and others don't: all are digits.
    return (
        f"CASE WHEN {uppers} + {lowers} / {_PART} < {_LARGEST // _PART} "
        f"THEN {uppers} * {_PART} + {lowers} "
        f"ELSE ({uppers} + {lowers} / {_PART}) || printf('%0{_PART_DIGITS}d', {lowers} % {_PART}) "
        "END"
    )


class ExactSum(FunctionElement[int]):
    """The sum of a column of `Whole`; 0 where there are none."""

    name = "exact_sum"
    type = Whole()
    inherit_cache = True


@compiles(ExactSum)
def _exact_sum(element: ExactSum, compiler: SQLCompiler, **options: Any) -> str:
    (clause,) = element.clauses
    column = compiler.process(clause, **options)
    if compiler.dialect.name != "sqlite":
        return sum_in(compiler.dialect.name, column)
    are_digits = f"typeof({column}) = 'text'"
    upper = f"CAST(substr({column}, 1, length({column}) - {_PART_DIGITS}) AS INTEGER)"
    lower = f"CAST(substr({column}, -{_PART_DIGITS}) AS INTEGER)"
    return _of_parts(
        f"CASE WHEN {are_digits} THEN {upper} ELSE {column} / {_PART} END",
        f"CASE WHEN {are_digits} THEN {lower} ELSE {column} % {_PART} END",
    )
