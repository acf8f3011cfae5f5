"""Alembic's revisions of the tables: one history for all databases, a function for each.

A revision writes out what it makes, with what is in `tables`, and imports no model of today's: what
it made, it made for good. To change a model, add ``versions/r<number>_<what>.py`` with the next
number, a function for each database that has the table, and the number in `revisions.CURRENT`; the
tests say whether it makes what the models say. A new table also needs its rights (`access.rights`).
"""
