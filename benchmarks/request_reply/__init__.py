"""Round trips of request and reply, beside spring-kafka's and beside a bare ping-pong."""
