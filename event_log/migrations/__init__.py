"""Alembic's revisions of the tables: one history for all databases, a function for each.

A new database is made from the models, by whoever opens it; revisions change those that are there.
To change a model, add ``versions/r<number>_<what>.py`` with the next number and an
``upgrade(database)`` that changes the database of that name and no other, and the number in
`revisions.CURRENT`. A revision writes out what it makes, and imports no model of today's: what it
made, it made for good. A new table also needs its rights (`access.rights`).

While there is no release, nobody has a database to upgrade: whoever changes a table then gives the
baseline the next number instead. Before the first revision after it is added, the tables that the
models say until then are written out in the baseline.
"""
