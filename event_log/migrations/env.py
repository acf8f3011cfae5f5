"""What Alembic runs: the revisions, on the connection and for the database that it was given."""

from alembic import context

_given = context.config.attributes
# The transaction is the caller's, who may have more to do in it.
context.configure(connection=_given["connection"])
with context.begin_transaction():
    context.run_migrations(database=_given["database"])
