"""How services talk: topics, CloudEvents envelopes, strict bodies, Kafka clients, a local broker."""
