"""The durable event log, and each service's inbox and outbox."""
