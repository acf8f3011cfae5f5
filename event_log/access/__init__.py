"""Who may do what in a Postgres database: one table of rights, and what brings them about."""
