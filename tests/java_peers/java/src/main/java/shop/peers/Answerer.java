package shop.peers;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.messaging.handler.annotation.SendTo;

/**
 * Answers by a KafkaListener with SendTo: accepted up to 300.00, else declined for no funds.
 *
 * <p>Arguments: servers, request topic. Runs until its standard input is closed.
 */
@Configuration
@EnableKafka
public class Answerer {

    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        System.setProperty("servers", args[0]);
        System.setProperty("requests", args[1]);
        try (var context = new AnnotationConfigApplicationContext(Answerer.class)) {
            while (System.in.read() >= 0) {
                continue;
            }
        }
    }

    @Bean
    KafkaTemplate<String, byte[]> template() {
        return new KafkaTemplate<>(Settings.producers(System.getProperty("servers")));
    }

    @Bean
    ConcurrentKafkaListenerContainerFactory<String, byte[]> kafkaListenerContainerFactory() {
        var factory = new ConcurrentKafkaListenerContainerFactory<String, byte[]>();
        factory.setConsumerFactory(
                Settings.consumers(System.getProperty("servers"), "answerer"));
        factory.setReplyTemplate(template());
        return factory;
    }

    @KafkaListener(topics = "#{systemProperties['requests']}")
    @SendTo
    public byte[] answer(byte[] body) throws Exception {
        ObjectNode order = (ObjectNode) JSON.readTree(body);
        order.remove("billing_address");
        if (order.path("amount").path("cents").asLong() > 30_000) {
            order.put("reason", "no_funds");
        }
        return JSON.writeValueAsBytes(order);
    }
}
