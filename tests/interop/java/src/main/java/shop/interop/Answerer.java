package shop.interop;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.common.TopicPartition;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.Environment;
import org.springframework.core.env.MapPropertySource;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.ConsumerAwareRebalanceListener;
import org.springframework.messaging.handler.annotation.SendTo;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Answers every request with its order, accepted, or declined where the amount is over 300.00.
 *
 * <p>Arguments: bootstrap servers, request topic. Prints {@code ready} once it has partitions, and
 * runs until standard input closes or SIGTERM.
 */
public final class Answerer {

    private static final int MOST_CENTS = 30_000;
    private static final List<String> GIVEN_BACK =
            List.of("order_id", "customer_id", "ordered_at", "amount", "items");

    private final JsonMapper json = JsonMapper.shared();

    private Answerer() {}

    public static void main(String[] arguments) throws IOException {
        var context = new AnnotationConfigApplicationContext();
        Map<String, Object> settings = Map.of("servers", arguments[0], "topic", arguments[1]);
        context.getEnvironment()
                .getPropertySources()
                .addFirst(new MapPropertySource("arguments", settings));
        context.register(Settings.class);
        context.registerShutdownHook();
        try (context) {
            context.refresh();
            while (System.in.read() >= 0) {
                // Nothing is expected there but its end.
            }
        }
    }

    @KafkaListener(topics = "${topic}")
    @SendTo
    byte[] answer(byte[] request) {
        JsonNode order = json.readTree(request);
        ObjectNode answer = json.createObjectNode();
        for (String name : GIVEN_BACK) {
            answer.set(name, order.required(name));
        }
        if (order.required("amount").required("cents").longValue() > MOST_CENTS) {
            answer.put("reason", "no_funds");
        }
        return json.writeValueAsBytes(answer);
    }

    @Configuration(proxyBeanMethods = false)
    @EnableKafka
    static class Settings {

        @Bean
        Answerer answerer() {
            return new Answerer();
        }

        @Bean
        DefaultKafkaProducerFactory<String, byte[]> producers(Environment environment) {
            return Clients.producers(environment.getRequiredProperty("servers"));
        }

        @Bean
        DefaultKafkaConsumerFactory<String, byte[]> consumers(Environment environment) {
            String group = "java-answerer-" + environment.getRequiredProperty("topic");
            return Clients.consumers(
                    environment.getRequiredProperty("servers"), group, "earliest");
        }

        @Bean
        KafkaTemplate<String, byte[]> replies(
                DefaultKafkaProducerFactory<String, byte[]> producers) {
            return new KafkaTemplate<>(producers);
        }

        @Bean
        ConcurrentKafkaListenerContainerFactory<String, byte[]> kafkaListenerContainerFactory(
                DefaultKafkaConsumerFactory<String, byte[]> consumers,
                KafkaTemplate<String, byte[]> replies) {
            var factory = new ConcurrentKafkaListenerContainerFactory<String, byte[]>();
            factory.setConsumerFactory(consumers);
            factory.setReplyTemplate(replies);
            factory.getContainerProperties().setConsumerRebalanceListener(new SaysReady());
            return factory;
        }
    }

    /** Says once that there are partitions. */
    private static final class SaysReady implements ConsumerAwareRebalanceListener {

        private final AtomicBoolean said = new AtomicBoolean();

        @Override
        public void onPartitionsAssigned(
                Consumer<?, ?> consumer, Collection<TopicPartition> partitions) {
            if (!partitions.isEmpty() && said.compareAndSet(false, true)) {
                System.out.println("ready");
            }
        }
    }
}
