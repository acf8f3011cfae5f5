package shop.interop;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;

/**
 * Measures round trips with a bounded number of requests in flight, and prints one line of JSON.
 *
 * <p>Arguments: bootstrap servers, request topic, reply topic, requests in flight, seconds, seconds
 * to warm up before. A round trip lasts from the call that sends until the future's callback; those
 * that end within the measured seconds count.
 */
public final class Bench {

    private static final Duration TIMEOUT = Duration.ofSeconds(30);
    private static final int CUSTOMERS = 1000;
    private static final String ORDER_END =
            "\",\"ordered_at\":\"1997-01-01T00:00:00Z\",\"amount\":{\"cents\":1250,"
                    + "\"currency\":\"USD\"},\"items\":2,\"billing_address\":\"1 Main St\"}";

    private final ReplyingKafkaTemplate<String, byte[], byte[]> template;
    private final String topic;
    private final int inFlight;
    private final Semaphore free;
    private final String run = Long.toString(System.currentTimeMillis(), Character.MAX_RADIX);
    private long from;
    private long until;
    private long[] micros = new long[1 << 20];
    private int count;
    private int failed;

    private Bench(
            ReplyingKafkaTemplate<String, byte[], byte[]> template, String topic, int inFlight) {
        this.template = template;
        this.topic = topic;
        this.inFlight = inFlight;
        this.free = new Semaphore(inFlight);
    }

    public static void main(String[] arguments) throws InterruptedException {
        String servers = arguments[0];
        int inFlight = Integer.parseInt(arguments[3]);
        double seconds = Double.parseDouble(arguments[4]);
        double warmup = Double.parseDouble(arguments[5]);
        var producers = Clients.producers(servers);
        var template = Clients.template(producers, servers, arguments[2], null, TIMEOUT);
        try {
            var bench = new Bench(template, arguments[1], inFlight);
            bench.run(nanos(warmup), nanos(seconds));
            System.out.println(bench.result(seconds));
        } finally {
            template.stop();
            template.destroy();
            producers.destroy();
        }
    }

    private static long nanos(double seconds) {
        return (long) (seconds * 1e9);
    }

    private void run(long warmup, long measured) throws InterruptedException {
        synchronized (this) {
            from = System.nanoTime() + warmup;
            until = from + measured;
        }
        for (int number = 0; System.nanoTime() < until; number++) {
            // Never longer than the requests' own timeout: each of them ends by then.
            free.acquire();
            ask(number);
        }
        if (!free.tryAcquire(inFlight, 2 * TIMEOUT.toSeconds(), TimeUnit.SECONDS)) {
            throw new IllegalStateException("requests are pending after their timeout");
        }
    }

    private void ask(int number) {
        String customer = padded(number % CUSTOMERS, 5);
        var request = new ProducerRecord<>(topic, customer, body(number, customer));
        long sent = System.nanoTime();
        template.sendAndReceive(request)
                .whenComplete(
                        (reply, error) -> {
                            record(sent, System.nanoTime(), error);
                            free.release();
                        });
    }

    private byte[] body(int number, String customer) {
        String id = run + "-" + padded(number, 8);
        return ("{\"order_id\":\"" + id + "\",\"customer_id\":\"" + customer + ORDER_END)
                .getBytes(StandardCharsets.UTF_8);
    }

    /** Not String.format, which would take its share of the time at many requests per second. */
    private static String padded(int number, int digits) {
        String text = Integer.toString(number);
        return "0".repeat(Math.max(0, digits - text.length())) + text;
    }

    private synchronized void record(long sent, long now, Throwable error) {
        if (error != null) {
            failed++;
        } else if (now >= from && now < until) {
            if (count == micros.length) {
                micros = Arrays.copyOf(micros, 2 * count);
            }
            micros[count++] = (now - sent) / 1000;
        }
    }

    private synchronized String result(double seconds) {
        long[] sorted = Arrays.copyOf(micros, count);
        Arrays.sort(sorted);
        return String.format(
                Locale.ROOT,
                "{\"in_flight\":%d,\"count\":%d,\"failed\":%d,"
                        + "\"per_second\":%.1f,\"p50_us\":%d,\"p99_us\":%d}",
                inFlight,
                count,
                failed,
                count / seconds,
                percentile(sorted, 0.50),
                percentile(sorted, 0.99));
    }

    private static long percentile(long[] sorted, double part) {
        if (sorted.length == 0) {
            return 0;
        }
        return sorted[Math.max(0, (int) Math.ceil(part * sorted.length) - 1)];
    }
}
