package shop.interop;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.support.TopicPartitionOffset;

/**
 * Kafka's clients as both sides use them: string keys, bytes as bodies.
 *
 * <p>System properties {@code kafka.producer.*} and {@code kafka.consumer.*} override their
 * settings: {@code -Dkafka.producer.linger.ms=0}.
 */
final class Clients {

    private static final Duration ASSIGNED_WITHIN = Duration.ofSeconds(30);
    private static final Duration FIRST_POLL = Duration.ofMillis(200);

    private Clients() {}

    static DefaultKafkaProducerFactory<String, byte[]> producers(String servers) {
        Map<String, Object> settings = new HashMap<>();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(ProducerConfig.ACKS_CONFIG, "all");
        settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        settings.putAll(overrides("kafka.producer."));
        return new DefaultKafkaProducerFactory<>(
                settings, new StringSerializer(), new ByteArraySerializer());
    }

    static DefaultKafkaConsumerFactory<String, byte[]> consumers(
            String servers, String group, String startAt) {
        Map<String, Object> settings = new HashMap<>();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, startAt);
        settings.putAll(overrides("kafka.consumer."));
        return new DefaultKafkaConsumerFactory<>(
                settings, new StringDeserializer(), new ByteArrayDeserializer());
    }

    /**
     * A started template that has its reply partitions.
     *
     * @param partition the partition that replies shall come to, which the template then names in
     *     its requests; null: replies come to any, and the topic is shared with other requesters.
     */
    static ReplyingKafkaTemplate<String, byte[], byte[]> template(
            DefaultKafkaProducerFactory<String, byte[]> producers,
            String servers,
            String replyTopic,
            Integer partition,
            Duration timeout)
            throws InterruptedException {
        ContainerProperties replies =
                partition == null
                        ? new ContainerProperties(replyTopic)
                        : new ContainerProperties(
                                new TopicPartitionOffset(
                                        replyTopic,
                                        partition,
                                        TopicPartitionOffset.SeekPosition.END));
        if (partition != null) {
            // Ready is then known after the first poll only, which lasts 5 s where nothing comes.
            replies.setPollTimeout(FIRST_POLL.toMillis());
        }
        // A group of its own: every requester on a shared topic sees all replies.
        String group = "java-requester-" + UUID.randomUUID();
        var container =
                new KafkaMessageListenerContainer<>(consumers(servers, group, "latest"), replies);
        var template = new ReplyingKafkaTemplate<>(producers, container);
        template.setSharedReplyTopic(true);
        template.setDefaultReplyTimeout(timeout);
        template.afterPropertiesSet();
        template.start();
        if (!template.waitForAssignment(ASSIGNED_WITHIN)) {
            template.stop();
            throw new IllegalStateException("no reply partition within " + ASSIGNED_WITHIN);
        }
        return template;
    }

    private static Map<String, Object> overrides(String prefix) {
        Map<String, Object> found = new HashMap<>();
        for (String name : System.getProperties().stringPropertyNames()) {
            if (name.startsWith(prefix)) {
                found.put(name.substring(prefix.length()), System.getProperty(name));
            }
        }
        return found;
    }
}
