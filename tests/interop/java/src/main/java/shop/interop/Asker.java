package shop.interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;

/**
 * Asks what standard input says, all at once, and prints how each request ended.
 *
 * <p>Arguments: bootstrap servers, request topic, reply topic, count, timeout in seconds and, if
 * replies shall come to one partition only, that partition. Input lines are {@code key<TAB>json}.
 * Output lines are {@code index<TAB>millis<TAB>ce_type or -<TAB>body}, and for a failure {@code
 * index<TAB>-<TAB>error<TAB>class}. The headers are those that the template itself sets.
 */
public final class Asker {

    private static final PrintStream OUT =
            new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private Asker() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        String servers = arguments[0];
        String requestTopic = arguments[1];
        String replyTopic = arguments[2];
        List<String> lines = read(Integer.parseInt(arguments[3]));
        Duration timeout = Duration.ofMillis((long) (Double.parseDouble(arguments[4]) * 1000));
        Integer partition = arguments.length > 5 ? Integer.valueOf(arguments[5]) : null;

        var producers = Clients.producers(servers);
        var template = Clients.template(producers, servers, replyTopic, partition, timeout);
        try {
            List<CompletableFuture<Void>> ended = new ArrayList<>();
            for (int index = 0; index < lines.size(); index++) {
                ended.add(ask(template, requestTopic, index, lines.get(index)));
            }
            CompletableFuture.allOf(ended.toArray(CompletableFuture[]::new)).join();
        } finally {
            template.stop();
            template.destroy();
            producers.destroy();
        }
    }

    private static List<String> read(int count) throws IOException {
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        List<String> lines = new ArrayList<>();
        while (lines.size() < count) {
            String line = input.readLine();
            if (line == null) {
                throw new IOException(lines.size() + " lines on standard input, not " + count);
            }
            lines.add(line);
        }
        return lines;
    }

    private static CompletableFuture<Void> ask(
            ReplyingKafkaTemplate<String, byte[], byte[]> template,
            String topic,
            int index,
            String line) {
        int tab = line.indexOf('\t');
        byte[] body = line.substring(tab + 1).getBytes(StandardCharsets.UTF_8);
        var request = new ProducerRecord<>(topic, line.substring(0, tab), body);
        long from = System.nanoTime();
        CompletableFuture<ConsumerRecord<String, byte[]>> reply;
        try {
            reply = template.sendAndReceive(request);
        } catch (RuntimeException error) {
            reply = CompletableFuture.failedFuture(error);
        }
        return reply.handle(
                (answer, error) -> {
                    print(index, (System.nanoTime() - from) / 1e6, answer, error);
                    return null;
                });
    }

    private static void print(
            int index, double millis, ConsumerRecord<String, byte[]> answer, Throwable error) {
        if (error != null) {
            Throwable cause = error instanceof CompletionException ? error.getCause() : error;
            OUT.println(index + "\t-\terror\t" + cause.getClass().getName());
            return;
        }
        Header type = answer.headers().lastHeader("ce_type");
        String said = type == null ? "-" : new String(type.value(), StandardCharsets.UTF_8);
        byte[] value = answer.value() == null ? new byte[0] : answer.value();
        String body = new String(value, StandardCharsets.UTF_8).replaceAll("[\r\n]", " ");
        OUT.println(index + "\t" + Math.round(millis * 1000) / 1e3 + "\t" + said + "\t" + body);
    }
}
