"""How services talk: topics, envelopes, strict bodies, Kafka clients, a local broker."""
