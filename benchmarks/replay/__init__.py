"""How fast a log is proved and projections are rebuilt, beside a raw scan of the same rows."""
