package shop.peers;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.requestreply.RequestReplyFuture;

/**
 * Asks by spring-kafka's ReplyingKafkaTemplate, as it is: no CloudEvents headers.
 *
 * <p>Arguments: servers, request topic, reply topic, seconds. Each line of standard input is a key, a
 * tab and a JSON body. Each line of output is an index, the reply's ce_type or "-", and its body; or
 * an index, "!" and the name of what was thrown.
 */
public final class Asker {

    private Asker() {}

    public static void main(String[] args) throws Exception {
        String servers = args[0];
        ContainerProperties properties = new ContainerProperties(args[2]);
        properties.setGroupId("asker-" + UUID.randomUUID());
        var container =
                new KafkaMessageListenerContainer<>(
                        Settings.consumers(servers, properties.getGroupId()), properties);
        var template = new ReplyingKafkaTemplate<>(Settings.producers(servers), container);
        template.setSharedReplyTopic(true);
        template.setDefaultReplyTimeout(Duration.ofSeconds(Long.parseLong(args[3])));
        template.start();
        if (!template.waitForAssignment(Duration.ofSeconds(30))) {
            throw new IllegalStateException("no assignment of " + args[2] + " within 30 s");
        }
        var input =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        List<RequestReplyFuture<String, byte[], byte[]>> asked = new ArrayList<>();
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] parts = line.split("\t", 2);
            byte[] body = parts[1].getBytes(StandardCharsets.UTF_8);
            asked.add(template.sendAndReceive(new ProducerRecord<>(args[1], parts[0], body)));
        }
        for (int index = 0; index < asked.size(); index++) {
            try {
                ConsumerRecord<String, byte[]> reply = asked.get(index).get();
                Header type = reply.headers().lastHeader("ce_type");
                String name =
                        type == null ? "-" : new String(type.value(), StandardCharsets.UTF_8);
                System.out.println(
                        index + "\t" + name + "\t"
                                + new String(reply.value(), StandardCharsets.UTF_8));
            } catch (ExecutionException error) {
                System.out.println(index + "\t!\t" + error.getCause().getClass().getSimpleName());
            }
        }
        System.out.flush();
        // The template's scheduler would keep the process alive.
        System.exit(0);
    }
}
