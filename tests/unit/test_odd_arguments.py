"""Whatever is typed, for whichever parameter of whichever command: an answer, and no traceback."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import typer
from pydantic import AliasChoices, ValidationError
from sqlalchemy.exc import DBAPIError
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from cli import asking, dead_letters, main, place
from cli.main import app
from cli.settings import SECRETS, Settings
from domain.errors import BrokerError, ShopError

ODD = ("", "\udcff", "9" * 5000, "-1", "nan", "x" * 300, "a=" + "[" * 9999)
RUN_ON = {"demo", "dashboard", "run", "broker start"}
"""Commands that start something: what is odd in theirs is in tests of their own."""
NEEDED = {
    "ask": {"--customer": "42", "--amount": "1.00"},
    "dead-letters drop": {"--reason": "none"},
    "secrets create": {"folder": "secrets"},
    "export": {"file": "x.csv"},
    "place": {"file": "purchases.txt"},
}
ANSWERS = (SystemExit, ShopError, DBAPIError, ValidationError, OSError, UnicodeEncodeError)
"""What `cli.main.run` has a message for."""


def commands(group: TyperGroup, *path: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *path, name)
        elif (whole := " ".join((*path, name))) not in RUN_ON:
            yield whole, command


def command_lines(name: str, command: TyperCommand) -> Iterator[list[str]]:
    for parameter in command.params:
        if getattr(parameter, "is_flag", False) or parameter.name == "help":
            continue
        is_option = parameter.param_type_name == "option"
        for odd in ODD:
            key = parameter.opts[0] if is_option else str(parameter.name)
            given = {**NEEDED.get(name, {}), key: odd}
            options = [f"{key}={value}" for key, value in given.items() if key.startswith("-")]
            arguments = [value for key, value in given.items() if not key.startswith("-")]
            yield [*name.split(), *options, "--", *arguments]


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody is waited for."""

    def away(*_: object, **__: object) -> None:
        raise BrokerError("away")

    for module in (asking, dead_letters, place):
        monkeypatch.setattr(module, "wait_for_topics", away)
    monkeypatch.chdir(tmp_path)
    Path("purchases.txt").write_text("00001 19970101 1 11.77\n")


@pytest.mark.usefixtures("no_broker")
def test_no_value_of_any_parameter_is_an_error_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_HOME", str(tmp_path / "home"))
    # Made once: that takes longer than most commands do.
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    known = dict(commands(group))
    assert known.keys() >= NEEDED.keys()
    for name, command in known.items():
        for line in command_lines(name, command):
            with suppress(*ANSWERS):
                try:
                    group.main(line, prog_name="shop")
                except Exception as error:
                    error.add_note(f"shop {line}"[:200])
                    raise


@pytest.mark.parametrize(
    "line",
    [
        ["place", "--rate", "nan", "purchases.txt"],
        ["place", "--rate", "inf", "purchases.txt"],
        ["ask", "--customer", "42", "--amount", "1.00", "--timeout", "nan"],
        ["ask", "--customer", "42", "--amount", "1.00", "--order", "x" * 201],
        ["ask", "--customer", "42", "--amount", "1.00", "--order", ""],
        ["ask", "--customer", "42", "--amount", "1.00", "--order", "\udcff"],
        ["replay", "--to", "\udcff"],
        ["replay", "--to", "x" * 250],
        ["secrets", "create", "folder", "--host", "ä.example"],
        ["secrets", "create", "folder", "--host", "two names"],
    ],
)
@pytest.mark.usefixtures("no_broker")
def test_what_can_never_be_is_a_wrong_command_line_and_makes_nothing(
    line: list[str], tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, line, env={"SHOP_HOME": str(tmp_path / "home")})
    assert done.exit_code == 2, done.exception
    assert [path.name for path in tmp_path.iterdir()] == ["purchases.txt"]


@pytest.mark.usefixtures("no_broker")
def test_a_file_whose_name_is_too_long_for_an_order_is_refused_before_anything_is_kept(
    tmp_path: Path,
) -> None:
    file = Path("x" * 250)
    file.write_text("00001 19970101 1 11.77\n")
    done = CliRunner().invoke(app, ["place", str(file)], env={"SHOP_HOME": str(tmp_path / "home")})
    assert "--as NAME" in str(done.exception)
    assert not (tmp_path / "home").exists()


@pytest.mark.usefixtures("no_broker")
def test_an_order_that_breaks_the_contract_is_refused_by_file_and_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However the reader's own rules are one day: what is made is checked as it will be read."""
    monkeypatch.setattr("domain.purchases.MAX_DATA_SET", 300)
    found = place.read_purchases(Path("purchases.txt"), "USD", "x" * 190)
    assert found.orders == []
    (why,) = found.refused
    assert why.startswith("x" * 190 + " line 1: ")
    assert "length <= 200" in why


@pytest.mark.usefixtures("no_broker")
def test_a_file_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "MAX_FILE_BYTES", 1000)
    with pytest.raises(ShopError, match="more than 1,000 bytes"):
        place.read_purchases(Path("/dev/zero"), "USD")


@pytest.mark.parametrize("value", ["a\udcff", "[" * 99_999, "nan", "1e-99999", ""])
@pytest.mark.parametrize("name", [*Settings.model_fields])
def test_no_value_of_any_setting_is_an_error_of_the_program(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alias = Settings.model_fields[name].validation_alias
    variable = alias.choices[0] if isinstance(alias, AliasChoices) else f"SHOP_{name.upper()}"
    monkeypatch.setenv(str(variable), value)
    with suppress(ValidationError, ShopError):
        Settings().house_accounts()
        assert "\udcff" not in value


def test_a_secret_that_is_no_text_is_named_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kafka_sasl_password").write_bytes(b"secret\xff")
    monkeypatch.setenv(SECRETS, str(tmp_path))
    monkeypatch.setattr(main, "app", lambda **_: Settings())
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "sasl_password" in said
    assert "secret\\" not in said
