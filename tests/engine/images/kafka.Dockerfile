# Stands for apache/kafka: the recorded jars, and Kafka's commands where that image has them.
FROM debian:tests
RUN useradd --uid 1000 appuser && install -d -o appuser -g appuser /var/lib/kafka/data
COPY jars /opt/kafka/libs
COPY --chmod=755 kafka-command /opt/kafka/bin/kafka-command
RUN cd /opt/kafka/bin \
    && for name in storage server-start topics configs; do ln -s kafka-command kafka-$name.sh; done
USER appuser
