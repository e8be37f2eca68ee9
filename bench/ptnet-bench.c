/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-bench: one way over a VALE switch and over a pipe, between two endpoints of
 * this process through a ptnetd of its own, beside the raw limit in the same run.
 *
 * The endpoints are the test client of tests/device: it plays QEMU and our driver, so
 * kicks are vfio-user messages and interrupts eventfds, as with a VM, but the guest's
 * code runs natively. Sender and receiver have a CPU each and, when they have nothing
 * to do, sleep or look at their rings again and again, yielding; ptnetd gets the CPU
 * time that they leave.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <jansson.h>

#include "client/daemon.h"
#include "client/endpoint.h"
#include "clock.h"
#include "options.h"
#include "raw.h"
#include "wakeup.h"

#define DEEP 4

#define VALE(text, ...)                                                                            \
	{                                                                                          \
		.name = (text), .from = "vale0:tx", .to = "vale0:rx", __VA_ARGS__                  \
	}
#define PIPE(text, link, ...)                                                                      \
	{                                                                                          \
		.name = (text), .from = link "{1", .to = link "}1", .pipe = true, .len = 60,       \
		__VA_ARGS__                                                                        \
	}

struct options {
	struct bench_options bench;
	int workers;
	int look_us;
};

/* What one direction of one measurement did. */
struct side {
	struct ring *ring;
	unsigned len;
	_Atomic bool *stop;
	int stop_event; /* ends a wait, once */
	uint64_t packets, bytes;
	double cpu_s;
	int result;
};

struct result {
	double sent_pps, received_pps;
	double sender_ns, receiver_ns, daemon_ns; /* CPU time per received packet */
	double kicks, interrupts, wakeups;	  /* per thousand received packets */
};

struct measurement {
	const char *name;
	const char *from, *to; /* ports */
	bool pipe;
	bool polling; /* endpoints look, yielding, where they would sleep */
	bool deep;    /* rings of DEEP times the slots */
	unsigned len;
	double limit;
	struct result median;
};

static void *send_packets(void *argument)
{
	struct side *side = argument;
	struct ring *ring = side->ring;

	pin_to_cpu(0);
	while (!atomic_load_explicit(side->stop, memory_order_relaxed)) {
		uint32_t room = ring_avail(ring);

		if (room == 0) {
			if (rings_wait(&ring, 1, side->stop_event) < 0 && !atomic_load(side->stop))
				side->result = -ETIMEDOUT;
			continue;
		}
		if (room > BATCH)
			room = BATCH;
		for (uint32_t i = 0; i < room; i++) {
			struct netmap_slot *slot = ring_slot(ring, i);

			slot->len = (uint16_t)side->len;
			slot->flags = 0;
		}
		ring_publish(ring, room);
		side->packets += room;
	}
	side->cpu_s = thread_cpu_s();
	return NULL;
}

static void *receive_packets(void *argument)
{
	struct side *side = argument;
	struct ring *ring = side->ring;

	pin_to_cpu(1);
	while (!atomic_load_explicit(side->stop, memory_order_relaxed)) {
		uint32_t filled = ring_avail(ring);
		uint64_t sum = 0;

		if (filled == 0) {
			if (rings_wait(&ring, 1, side->stop_event) < 0 && !atomic_load(side->stop))
				side->result = -ETIMEDOUT;
			continue;
		}
		if (filled > BATCH)
			filled = BATCH;
		for (uint32_t i = 0; i < filled; i++)
			sum += ring_slot(ring, i)->len;
		side->bytes += sum;
		ring_publish(ring, filled);
		side->packets += filled;
	}
	side->cpu_s = thread_cpu_s();
	return NULL;
}

/* Every buffer of the sender holds a frame to the receiver; nothing rewrites them. */
static void prepare_frames(struct endpoint *sender, const struct endpoint *receiver)
{
	struct ring *ring = driver_tx(&sender->driver, 0);

	for (uint32_t i = 0; i < ring->num_slots; i++) {
		char *frame = ring_buf(ring, ring->slots[i].buf_idx);

		memset(frame, 0, sender->driver.buf_size);
		memcpy(frame, receiver->driver.mac, 6);
		memcpy(frame + 6, sender->driver.mac, 6);
		frame[12] = 0x08;
	}
}

/* One frame from the receiver, so that the switch knows where it is. */
static int introduce(struct endpoint *receiver, struct endpoint *sender)
{
	struct ring *tx = driver_tx(&receiver->driver, 0);
	struct ring *rx = driver_rx(&sender->driver, 0);
	struct netmap_slot *slot = ring_slot(tx, 0);
	char *frame = ring_buf(tx, slot->buf_idx);

	memset(frame, 0, 60);
	memcpy(frame, sender->driver.mac, 6);
	memcpy(frame + 6, receiver->driver.mac, 6);
	slot->len = 60;
	slot->flags = 0;
	ring_publish(tx, 1);
	while (ring_avail(rx) == 0)
		if (rings_wait(&rx, 1, -1) < 0)
			return -ETIMEDOUT;
	ring_publish(rx, 1);
	return 0;
}

static uint64_t worker_wakeups(struct daemon *daemon)
{
	json_t *answer = daemon_request(daemon, "workers", NULL);
	json_t *list = json_is_object(answer) ? json_object_get(answer, "workers") : answer;
	uint64_t sum = 0;

	for (size_t i = 0; i < json_array_size(list); i++)
		sum += (uint64_t)json_integer_value(
			json_object_get(json_array_get(list, i), "wakeups"));
	json_decref(answer);
	return sum;
}

static int run_once(struct daemon *daemon, const struct measurement *what,
		    const struct options *options, struct result *result)
{
	const char *names[2] = {what->from, what->to};
	struct endpoint ends[2];
	struct port_paths paths[2];
	_Atomic bool stop = false;
	pthread_t threads[2];

	for (int i = 0; i < 2; i++) {
		if (daemon_port_paths(daemon, names[i], &paths[i]) < 0)
			return -1;
		if (endpoint_attach(&ends[i], &paths[i], MANNER_OURS) < 0) {
			fprintf(stderr, "ptnet-bench: %s: %s\n", names[i],
				ends[i].guest.error_text);
			return -1;
		}
		endpoint_set_policy(&ends[i], KICK_NEEDED, what->polling ? WAIT_POLL : WAIT_SLEEP);
	}
	prepare_frames(&ends[0], &ends[1]);
	if (introduce(&ends[1], &ends[0]) < 0) {
		fprintf(stderr, "ptnet-bench: %s: the first frame did not arrive\n", names[1]);
		return -1;
	}
	struct side sides[2] = {
		{.ring = driver_tx(&ends[0].driver, 0),
		 .len = what->len,
		 .stop = &stop,
		 .stop_event = eventfd(0, EFD_CLOEXEC)},
		{.ring = driver_rx(&ends[1].driver, 0),
		 .len = what->len,
		 .stop = &stop,
		 .stop_event = eventfd(0, EFD_CLOEXEC)},
	};
	uint64_t daemon_cpu = daemon_cpu_ns(daemon), wakeups = worker_wakeups(daemon);
	uint64_t kicks = sides[0].ring->kicks + sides[1].ring->kicks;
	int64_t interrupts = daemon_port_counter(daemon, names[0], "interrupts_sent") +
			     daemon_port_counter(daemon, names[1], "interrupts_sent");
	double started = now_s();
	if (pthread_create(&threads[1], NULL, receive_packets, &sides[1]) != 0 ||
	    pthread_create(&threads[0], NULL, send_packets, &sides[0]) != 0)
		abort();
	sleep_s(options->bench.seconds);
	double took = now_s() - started;
	uint64_t sent = sides[0].packets, received = sides[1].packets;
	daemon_cpu = daemon_cpu_ns(daemon) - daemon_cpu;
	wakeups = worker_wakeups(daemon) - wakeups;
	interrupts = daemon_port_counter(daemon, names[0], "interrupts_sent") +
		     daemon_port_counter(daemon, names[1], "interrupts_sent") - interrupts;
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		if (eventfd_write(sides[i].stop_event, 1) < 0)
			perror("ptnet-bench: waking an endpoint");
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		close(sides[i].stop_event);
	}
	kicks = sides[0].ring->kicks + sides[1].ring->kicks - kicks;
	endpoint_detach(&ends[0]);
	endpoint_detach(&ends[1]);
	if (sides[0].result < 0 || sides[1].result < 0 || received == 0) {
		fprintf(stderr, "ptnet-bench: %s: packets stopped\n", what->name);
		return -1;
	}
	double packets = (double)received;
	*result = (struct result){
		.sent_pps = (double)sent / took,
		.received_pps = packets / took,
		.sender_ns = sides[0].cpu_s * 1e9 / packets,
		.receiver_ns = sides[1].cpu_s * 1e9 / packets,
		.daemon_ns = (double)daemon_cpu / packets,
		.kicks = (double)kicks * 1000 / packets,
		.interrupts = (double)interrupts * 1000 / packets,
		.wakeups = (double)wakeups * 1000 / packets,
	};
	return 0;
}

static int by_received(const void *a, const void *b)
{
	double left = ((const struct result *)a)->received_pps;
	double right = ((const struct result *)b)->received_pps;

	return (left > right) - (left < right);
}

static int measure(struct daemon *daemon, struct measurement *what, const struct options *options)
{
	struct result results[MAX_REPEATS];

	for (unsigned i = 0; i < options->bench.repeats; i++)
		if (run_once(daemon, what, options, &results[i]) < 0)
			return -1;
	qsort(results, options->bench.repeats, sizeof(results[0]), by_received);
	what->median = results[options->bench.repeats / 2];
	return 0;
}

static void print_header(const struct options *options, double round_trip_s)
{
	printf("Median of %u runs of %.1f s, rings of %u slots, batches of %u; received packets "
	       "per "
	       "second.\n"
	       "Endpoints sleep when they have nothing to do, or poll where it says so. To wake a "
	       "sleeper on\n"
	       "the other CPU and be woken by it took %.1f us here.\n\n",
	       options->bench.repeats, options->bench.seconds, options->bench.slots, BATCH,
	       round_trip_s * 1e6);
	printf("%-26s %8s %8s %8s %6s   %-26s %s\n", "", "limit", "received", "sent", "of the",
	       "CPU ns per packet", "per 1000 packets");
	printf("%-26s %8s %8s %8s %6s   %-26s %s\n", "", "Mpps", "Mpps", "Mpps", "limit",
	       "sender receiver ptnetd", "kicks interrupts wake-ups");
}

static void print_measurement(const struct measurement *m)
{
	const struct result *r = &m->median;

	printf("%-26s %8.1f %8.2f %8.2f %5.0f%%   %6.1f %8.1f %6.1f     %5.2f %10.2f %8.2f\n",
	       m->name, m->limit / 1e6, r->received_pps / 1e6, r->sent_pps / 1e6,
	       100 * r->received_pps / m->limit, r->sender_ns, r->receiver_ns, r->daemon_ns,
	       r->kicks, r->interrupts, r->wakeups);
	fflush(stdout);
}

static json_t *measurement_json(const struct measurement *m)
{
	const struct result *r = &m->median;

	return json_pack("{s:s, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "name",
			 m->name, "bytes", (int)m->len, "batch", BATCH, "limit_pps", m->limit,
			 "received_pps", r->received_pps, "sent_pps", r->sent_pps, "sender_cpu_ns",
			 r->sender_ns, "receiver_cpu_ns", r->receiver_ns, "ptnetd_cpu_ns",
			 r->daemon_ns, "kicks_per_1000", r->kicks, "interrupts_per_1000",
			 r->interrupts, "wakeups_per_1000", r->wakeups);
}

static void usage(FILE *out)
{
	fputs("usage: ptnet-bench [--seconds S] [--repeats N] [--slots N] [--workers N] [--look "
	      "US]\n"
	      "                   [--daemon PTNETD] [--json]\n\n"
	      "Packets per second one way over a VALE switch and over a pipe, beside the raw limit "
	      "of\n"
	      "this machine in the same run. Run it on an otherwise idle machine with two CPUs.\n\n"
	      "  --workers N     of ptnetd (default: as ptnetd decides)\n"
	      "  --look US       ptnetd's look_max_us (default: ptnetd's)\n" BENCH_HELP,
	      out);
}

static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{"workers", required_argument, NULL, 'w'},
		{"look", required_argument, NULL, 'l'},
		BENCH_LONG_OPTIONS,
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (option) {
		case 'w':
			options->workers = atoi(optarg);
			break;
		case 'l':
			options->look_us = atoi(optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			if (bench_take_option(&options->bench, option) < 0)
				return -1;
		}
	}
	return optind == argc ? bench_check_options(&options->bench) : -1;
}

static int start_daemon(struct daemon *daemon, const struct options *options)
{
	char config[512], look[64] = "";

	if (options->look_us >= 0)
		snprintf(look, sizeof(look), ", \"look_max_us\": %d", options->look_us);
	snprintf(config, sizeof(config),
		 "{\"engine\": {\"workers\": %d%s}, \"ports\": [{\"name\": \"vale0:tx\", "
		 "\"slots\": %u}, "
		 "{\"name\": \"vale0:rx\", \"slots\": %u}], \"pipes\": [{\"name\": \"bench{1\", "
		 "\"slots\": %u}, {\"name\": \"deep{1\", \"slots\": %u}]}",
		 options->workers, look, options->bench.slots, options->bench.slots,
		 options->bench.slots, DEEP * options->bench.slots);
	return daemon_start(daemon, config);
}

int main(int argc, char **argv)
{
	struct options options = {.bench = BENCH_DEFAULTS, .look_us = -1};
	struct measurement all[] = {
		VALE("VALE, 60 bytes", .len = 60),
		VALE("VALE, 60 bytes, polling", .len = 60, .polling = true),
		VALE("VALE, 1514 bytes", .len = 1514),
		VALE("VALE, 1514 bytes, polling", .len = 1514, .polling = true),
		PIPE("pipe", "bench"),
		PIPE("pipe, polling", "bench", .polling = true),
		PIPE("pipe, 4 times the slots", "deep", .deep = true),
	};
	struct daemon daemon;
	json_t *list = json_array();
	double round_trip_s;
	int result = 0;

	if (parse_options(argc, argv, &options) < 0) {
		usage(stderr);
		return 2;
	}
	if (start_daemon(&daemon, &options) < 0)
		return 1;
	round_trip_s = wakeup_round_trip_s(options.bench.seconds);
	if (!options.bench.json)
		print_header(&options, round_trip_s);
	for (size_t i = 0; result == 0 && i < sizeof(all) / sizeof(all[0]); i++) {
		all[i].limit = raw_rate(options.bench.slots * (all[i].deep ? DEEP : 1), BATCH,
					all[i].pipe ? 0 : all[i].len, options.bench.seconds);
		result = measure(&daemon, &all[i], &options);
		if (result == 0 && !options.bench.json)
			print_measurement(&all[i]);
		if (result == 0)
			json_array_append_new(list, measurement_json(&all[i]));
	}
	if (options.bench.json) {
		json_t *report = json_pack("{s:f, s:O}", "wakeup_round_trip_us", round_trip_s * 1e6,
					   "measurements", list);

		json_dumpf(report, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(report);
	}
	json_decref(list);
	if (daemon_stop(&daemon) < 0)
		result = -1;
	return result == 0 ? 0 : 1;
}
