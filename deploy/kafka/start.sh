#!/usr/bin/env bash
# Starts a Kafka node: formats its storage at the first start, with the credential of `admin`, who
# gives all others theirs (`shop acl apply`).
set -euo pipefail

here="$(dirname "${BASH_SOURCE[0]}")"
properties="$(mktemp)"

# A later line counts for more than an earlier one.
cat "$here/server.properties" - >"$properties" <<END

node.id=${KAFKA_NODE_ID:-1}
advertised.listeners=CLIENTS://${KAFKA_ADVERTISED:-kafka:9092}
${KAFKA_NODE_PROPERTIES:-}
END
export KAFKA_LOG4J_OPTS="-Dlog4j2.configurationFile=file://$here/log4j2.properties"

# It would print the keys that it makes of the password.
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted --config "$properties" \
    --cluster-id "$(cat /run/secrets/broker/cluster_id)" \
    --add-scram "SCRAM-SHA-512=[name=admin,password=$(cat /run/secrets/broker/kafka_sasl_password)]" \
    >/dev/null
exec /opt/kafka/bin/kafka-server-start.sh "$properties"
