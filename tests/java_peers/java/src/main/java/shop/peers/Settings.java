package shop.peers;

import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;

/** Client factories, the same on both sides: string keys, bodies as bytes. */
final class Settings {

    private Settings() {}

    static DefaultKafkaProducerFactory<String, byte[]> producers(String servers) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", servers);
        config.put("acks", "all");
        return new DefaultKafkaProducerFactory<>(
                config, new StringSerializer(), new ByteArraySerializer());
    }

    static DefaultKafkaConsumerFactory<String, byte[]> consumers(String servers, String group) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", servers);
        config.put("group.id", group);
        config.put("auto.offset.reset", "earliest");
        return new DefaultKafkaConsumerFactory<>(
                config, new StringDeserializer(), new ByteArrayDeserializer());
    }
}
