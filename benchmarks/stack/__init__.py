"""What Postgres and TLS cost, beside SQLite and plaintext."""
