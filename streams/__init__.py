"""Event-driven: one Faust app a service."""
