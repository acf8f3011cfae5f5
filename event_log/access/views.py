"""Views in the schema that the dashboard reads, of what it needs of other schemas."""

from sqlalchemy import Connection, inspect

from event_log.access.rights import VIEWS, VIEWS_IN


def missing_views(connection: Connection) -> list[str]:
    """The schemas whose table has no view that shows all of its columns."""
    looked = inspect(connection)

    def columns(schema: str, name: str) -> list[str]:
        found = looked.has_table(name, schema)
        return [each["name"] for each in looked.get_columns(name, schema)] if found else []

    return [
        schema
        for schema, table in VIEWS.items()
        if columns(VIEWS_IN, table) != columns(schema, table)
    ]


def make_views(connection: Connection) -> list[str]:
    """Make the views that are missing; returns their names."""
    made = []
    for schema in missing_views(connection):
        name = VIEWS[schema]
        drop_view_of(connection, schema)
        # Its owner reads the table; who may read the view need not be able to.
        connection.exec_driver_sql(
            f'CREATE VIEW "{VIEWS_IN}"."{name}" AS SELECT * FROM "{schema}"."{name}"'  # noqa: S608
        )
        made.append(f"{VIEWS_IN}.{name}")
    return made


def drop_view_of(connection: Connection, schema: str) -> None:
    """Drop the view of a schema's table, if there is one."""
    name = VIEWS.get(schema)
    if name is not None and inspect(connection).has_table(name, VIEWS_IN):
        connection.exec_driver_sql(f'DROP VIEW "{VIEWS_IN}"."{name}"')
