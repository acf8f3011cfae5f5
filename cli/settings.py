"""Settings, all from the environment; `shop settings` prints them."""

import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_cache_path
from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from domain.errors import ShopError, StoreError
from domain.house_accounts import HouseAccounts
from domain.money import MAX_MINOR_UNITS, MINOR_UNITS, parse_amount, unknown_currency
from event_log.addresses import has_password
from event_log.database import Place
from event_log.postgres import PostgresSchema
from services.watchdog import STALLED_AFTER_SECONDS
from transport.topics import TOPIC_NAME

Divisor = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
TopicName = Annotated[str, Field(pattern=f"^{TOPIC_NAME}$")]


def _house(name: str) -> AliasChoices:
    return AliasChoices(f"SHOP_{name}", name)


def _kafka(name: str) -> AliasChoices:
    return AliasChoices(f"KAFKA_{name}", f"SHOP_{name}")


_BASE_PATH = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._~-]*)*")

LONGEST_HOME = 440
"""Bytes: SQLite opens no path of more than 512, and has files of its own beside a database."""

SECRETS = "SHOP_SECRETS"
"""Names a folder with a file for each secret, called as its variable is, such as Docker's are."""


class Settings(BaseSettings):
    """What can be set from outside, each by ``SHOP_`` and its name in capitals.

    A file of that name in the folder that ``SHOP_SECRETS`` names sets it too; the environment goes
    before it.
    """

    model_config = SettingsConfigDict(env_prefix="SHOP_", frozen=True, populate_by_name=True)

    home: Path = Field(
        Path("var"),
        validate_default=True,
        description="where all state lives: broker, databases, logs",
    )
    jars: Path = Field(
        validate_default=True,
        default_factory=lambda: user_cache_path("order-to-revenue") / "jars",
        description="where downloaded jars are kept; homes share them",
    )
    bootstrap_servers: str | None = Field(
        None,
        validation_alias=_kafka("BOOTSTRAP_SERVERS"),
        description="a broker that is there already; without it the home's own is used",
    )
    security_protocol: Literal["PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        validation_alias=_kafka("SECURITY_PROTOCOL"),
        description="how that broker is spoken with: SASL_SSL needs the three below",
    )
    sasl_username: str | None = Field(
        None,
        validation_alias=_kafka("SASL_USERNAME"),
        description="this process's principal, by SCRAM-SHA-512",
    )
    sasl_password: SecretStr | None = Field(
        None, validation_alias=_kafka("SASL_PASSWORD"), description="its password"
    )
    ssl_ca: Path | None = Field(
        None,
        validation_alias=_kafka("SSL_CA"),
        description="the certificate (PEM) of the authority that the brokers' are signed by",
    )
    principals: Path | None = Field(
        None,
        description="a folder with a folder for each principal, as `shop secrets create` makes it: "
        "what `shop migrate` and `shop acl apply` read all names' passwords from",
    )
    database_url: str | None = Field(
        None,
        description="a Postgres database, postgresql://role@host/database, a schema of which each "
        "service has; without it each has a SQLite file in the home",
    )
    database_password: SecretStr | None = Field(
        None, description="the password of the role in SHOP_DATABASE_URL"
    )
    broker_port: Port | None = Field(None, description="the local broker's port; else a free one")
    partitions: Annotated[int, Field(ge=1, le=1000)] = Field(
        4, description="partitions of each topic that the project creates"
    )
    replication: Annotated[int, Field(ge=1, le=9)] = Field(1, description="copies of each topic")
    retention_days: Annotated[int, Field(ge=1)] = Field(
        3650, description="how long topics keep records"
    )
    currency: str = Field("USD", description="ISO 4217 code of the purchases and the accounts")
    monthly_limit: Annotated[Decimal, Field(ge=0, max_digits=30)] = Field(
        Decimal("300.00"),
        validation_alias=_house("MONTHLY_LIMIT"),
        description="what an account may be charged in one calendar month",
    )
    closed_divisor: Divisor = Field(
        97,
        validation_alias=_house("CLOSED_DIVISOR"),
        description="customers divisible by it have a closed account",
    )
    wrong_address_divisor: Divisor = Field(
        89,
        validation_alias=_house("WRONG_ADDRESS_DIVISOR"),
        description="else customers divisible by it gave a wrong billing address",
    )
    reply_topics: Annotated[tuple[TopicName, ...], NoDecode] = Field(
        (),
        description="topics beside payment.replies that the responder may reply to (JSON list, or "
        "with commas)",
    )
    batch: Annotated[int, Field(ge=1, le=10_000)] = Field(
        2000, description="most records in one transaction"
    )
    batch_within: Annotated[float, Field(gt=0, le=5)] = Field(
        0.03, description="seconds that a record waits for others to share its transaction"
    )
    stalled_after: Annotated[float, Field(ge=1, le=86_400)] = Field(
        STALLED_AFTER_SECONDS,
        description="seconds without progress after which a service with records ends itself, to "
        "be started again; more than the 60 that a locked database is tried for",
    )
    logs: Literal["plain", "json"] | None = Field(
        None, description="how log lines are written; else plain on a terminal, and JSON elsewhere"
    )
    dashboard_port: Port | None = Field(None, description="the dashboard's port; else 8501 or free")
    dashboard_base_path: str = Field(
        "",
        description="the path below which people find the dashboard, such as /shop/finance, where "
        "a proxy has more than this behind its name; it passes paths on unchanged",
    )
    oidc_metadata_url: str | None = Field(
        None,
        description="the OpenID provider by which people log in to the dashboard: where its "
        "discovery document is; it needs the five below, too",
    )
    oidc_client_id: str | None = Field(None, description="what that provider knows it as")
    oidc_client_secret: SecretStr | None = Field(None, description="its password there")
    oidc_cookie_secret: SecretStr | None = Field(
        None, description="what logins in a browser are signed by: 32 random characters or more"
    )
    oidc_redirect_uri: str | None = Field(
        None,
        description="the dashboard's address for people, with SHOP_DASHBOARD_BASE_PATH if that is "
        "set, and /oauth2callback after it",
    )
    oidc_allowed: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="who may look: e-mail addresses and whole domains (JSON list, or with commas)",
    )
    oidc_hours: Annotated[float, Field(gt=0, le=720)] = Field(
        12, description="hours after which one has to log in again"
    )

    @field_validator("home")
    @classmethod
    def _can_hold_databases(cls, home: Path) -> Path:
        """From the root on: messages say it to people who are in another folder."""
        home = home.absolute()
        _refuse_undecodable("SHOP_HOME", home)
        if len(os.fsencode(home)) > LONGEST_HOME:
            raise ShopError(
                f"SHOP_HOME={home} is longer than {LONGEST_HOME} bytes, and SQLite opens no file "
                "of so long a path: use a shorter one"
            )
        return home

    @field_validator("jars")
    @classmethod
    def _can_hold_classes(cls, jars: Path) -> Path:
        _refuse_undecodable("SHOP_JARS", jars)
        if os.pathsep in str(jars.absolute()):
            raise ShopError(
                f"SHOP_JARS={jars}, where Kafka's jars are kept, has a {os.pathsep} in its path, "
                "which Java takes for the end of it: set SHOP_JARS to another folder"
            )
        return jars

    @field_validator("currency")
    @classmethod
    def _is_currency(cls, code: str) -> str:
        if code not in MINOR_UNITS:
            raise ShopError(f"SHOP_CURRENCY: {unknown_currency(code)}")
        return code

    @field_validator("dashboard_base_path")
    @classmethod
    def _is_plain_path(cls, text: str) -> str:
        """With a slash at its beginning and none at its end; empty where there is none."""
        named = text.removeprefix("/").removesuffix("/")
        path = f"/{named}" if named else ""
        # What needs no escaping (RFC 3986, 2.3). Streamlit's own paths begin with an underscore.
        if _BASE_PATH.fullmatch(path) is None:
            raise ShopError(
                f"SHOP_DASHBOARD_BASE_PATH={text!r} is no path such as /shop/finance: each of its "
                "parts begins with a letter or a digit, and goes on with these and - . _ ~; no "
                "host, no .., no %, no query"
            )
        return path

    @field_validator("oidc_allowed", "reply_topics", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        """A JSON list as such, and any other text taken apart at its commas."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            try:
                return json.loads(value)
            except RecursionError:
                raise ValueError("it is no list of texts") from None
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: object, info: ValidationInfo) -> object:
        """What isn't UTF-8 comes as halves of characters, which no client and no database takes.

        The last one of its kind is asked first: before lists are taken apart.
        """
        # Those two say themselves who would find nothing there.
        if isinstance(value, str) and info.field_name not in ("home", "jars"):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError("it is not UTF-8") from None
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, and the folder of secrets after it.

        Raises:
            ShopError: there is no such folder.
        """
        folder = os.environ.get(SECRETS)
        if folder is not None and not Path(folder).is_dir():
            raise ShopError(f"{SECRETS}={folder} is no folder: it must hold a file for each secret")
        secrets = SecretsSettingsSource(settings_cls, secrets_dir=folder)
        return init_settings, env_settings, secrets

    @field_validator("database_url")
    @classmethod
    def _has_no_password(cls, url: str | None) -> str | None:
        # No ValueError: pydantic would repeat the address in it.
        try:
            refused = url is not None and has_password(url)
        except StoreError as error:
            raise StoreError(f"SHOP_DATABASE_URL: {error}") from None
        if refused:
            raise StoreError(
                "SHOP_DATABASE_URL has a password in it, which everybody sees who sees settings: "
                "take it out, and set SHOP_DATABASE_PASSWORD, or write it to a file "
                f"shop_database_password in the folder that {SECRETS} names"
            )
        return url

    @property
    def on_postgres(self) -> bool:
        """Whether the databases are schemas of a Postgres database, and no files of the home."""
        return self.database_url is not None

    def database(self, name: str) -> Place:
        """Where a service's own database is."""
        if self.database_url is None:
            return self.home / "databases" / f"{name}.sqlite"
        secret = self.database_password
        password = None if secret is None else secret.get_secret_value()
        return PostgresSchema(self.database_url, name, password)

    def house_accounts(self) -> HouseAccounts:
        """The rules that give every customer number an account.

        Raises:
            MoneyError: the limit has a fraction of a minor unit.
        """
        limit = parse_amount(f"{self.monthly_limit:f}", self.currency, MAX_MINOR_UNITS)
        return HouseAccounts(limit, self.closed_divisor, self.wrong_address_divisor)


def _refuse_undecodable(name: str, path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ShopError(
            f"{name}={os.fsencode(path)!r} is no text in UTF-8, and Java finds nothing there: use "
            "a folder of another name"
        ) from None
