/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-gen's functions against each other over a pipe inside this process: all of the program
 * but main(), with the system calls that reach a port led to fake_netmap.c.
 */
#include "captured_stderr.h"
#include "fake_netmap.h"
#include "report.h"
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static const struct fake_setup small = {.rings = 1, .slots = 32, .buf_size = 2048};

/* One ptnet-gen: its command line in words, and what came of it. */
struct gen {
	struct gen_options options;
	struct run run;
	pthread_t thread;
	int status;
	json_t *report;
};

static void parse(struct gen *g, const char *line)
{
	static char copies[16][512]; /* options point into them */
	static unsigned int used;
	char *copy = copies[used++ % 16], *argv[32] = {(char *)"ptnet-gen"};
	int argc = 1;

	snprintf(copy, sizeof(copies[0]), "%s", line);
	while ((argv[argc] = strsep(&copy, " ")))
		argc++;
	optind = 0;
	memset(g, 0, sizeof(*g));
	assert_int_equal(options_parse(&g->options, argc, argv), -1);
}

static void *gen_main(void *arg)
{
	struct gen *g = arg;

	if (run_all(&g->run, &g->options)) {
		g->status = STATUS_FAILED;
	} else {
		g->status = report_status(&g->run);
		g->report = report_json(&g->run);
		if (!g->options.reporting.quiet && report_print(&g->run))
			g->status = STATUS_FAILED;
	}
	run_free(&g->run);
	return NULL;
}

static void start(struct gen *g, const char *line)
{
	parse(g, line);
	assert_int_equal(pthread_create(&g->thread, NULL, gen_main, g), 0);
}

static void end(struct gen *g)
{
	pthread_join(g->thread, NULL);
}

static void both(struct gen *a, const char *line_a, struct gen *b, const char *line_b)
{
	start(a, line_a);
	start(b, line_b);
	end(a);
	end(b);
}

static json_int_t figure(const struct gen *g, const char *name)
{
	const json_t *v = json_object_get(g->report, name);

	if (!json_is_integer(v))
		fail_msg("no figure '%s' in the report", name);
	return json_integer_value(v);
}

static json_int_t figure_in(const struct gen *g, const char *part, const char *name)
{
	const json_t *v = json_object_get(json_object_get(g->report, part), name);

	if (!json_is_integer(v))
		fail_msg("no figure '%s.%s' in the report", part, name);
	return json_integer_value(v);
}

static void done(struct gen *g)
{
	json_decref(g->report);
}

static void create(unsigned int rings, unsigned int buf_size, unsigned int vnet_hdr,
		   bool (*tamper)(struct netmap_slot *, uint8_t *, uint64_t))
{
	struct fake_setup s = small;

	s.rings = rings;
	s.buf_size = buf_size;
	s.vnet_hdr = vnet_hdr;
	s.tamper = tamper;
	fake_create(&s);
}

static void every_packet_arrives_intact(const char *tx_line, const char *rx_line,
					unsigned int packets)
{
	struct gen tx, rx;

	both(&rx, rx_line, &tx, tx_line);
	assert_int_equal(tx.status, STATUS_OK);
	assert_int_equal(rx.status, STATUS_OK);
	assert_int_equal(figure(&tx, "packets"), packets);
	assert_int_equal(figure(&rx, "packets"), packets);
	assert_int_equal(figure(&rx, "bytes"), figure(&tx, "bytes"));
	assert_int_equal(figure_in(&rx, "sequence", "received"), packets);
	assert_int_equal(figure_in(&rx, "sequence", "lost"), 0);
	assert_int_equal(figure(&tx, "pending"), 0);
	assert_string_equal(json_string_value(json_object_get(rx.report, "stopped_by")), "count");
	assert_string_equal(json_string_value(json_object_get(tx.report, "stopped_by")), "count");
	done(&tx);
	done(&rx);
	fake_destroy();
}

static void single_slot(void **state)
{
	(void)state;
	create(1, 2048, 0, NULL);
	every_packet_arrives_intact("tx fake{1 -n 20000 -q --payload-check",
				    "rx fake}1 -n 20000 -q --check", 20000);
}

static void mixed_sizes_in_small_buffers(void **state)
{
	(void)state;
	create(1, 256, 0, NULL);
	every_packet_arrives_intact(
		"tx fake{1 -n 5000 -q -s 60-3000:5,60:7,590:4,1514:1 --payload-check",
		"rx fake}1 -n 5000 -q --check", 5000);
}

static void longest_frames(void **state)
{
	(void)state;
	create(1, 4096, 0, NULL);
	every_packet_arrives_intact("tx fake{1 -n 200 -q -s 65549 --payload-check",
				    "rx fake}1 -n 200 -q --check", 200);
}

static void threads_on_rings_of_their_own(void **state)
{
	(void)state;
	create(3, 2048, 0, NULL);
	every_packet_arrives_intact("tx fake{1 -n 10001 -q -t 3",
				    "rx fake}1 -n 10001 -q --check -t 3", 10001);
}

static void one_thread_on_all_rings(void **state)
{
	(void)state;
	create(3, 2048, 0, NULL);
	every_packet_arrives_intact("tx fake{1 -n 10001 -q -b 7", "rx fake}1 -n 10001 -q --check",
				    10001);
}

static void busy_on_both_sides(void **state)
{
	(void)state;
	create(1, 2048, 0, NULL);
	every_packet_arrives_intact("tx fake{1 -n 2000 -q --busy",
				    "rx fake}1 -n 2000 -q --check --busy", 2000);
}

static void with_virtio_net_headers(void **state)
{
	(void)state;
	create(1, 128, 12, NULL);
	every_packet_arrives_intact("tx fake{1 -n 1000 -q -s 60-400",
				    "rx fake}1 -n 1000 -q --check", 1000);
}

static void at_a_rate(void **state)
{
	(void)state;
	create(1, 2048, 0, NULL);
	every_packet_arrives_intact("tx fake{1 -n 300 -q -r 100k", "rx fake}1 -n 300 -q --check",
				    300);
}

static void address_ranges(void **state)
{
	(void)state;
	create(1, 2048, 0, NULL);
	every_packet_arrives_intact(
		"tx fake{1 -n 1000 -q --src-mac 02:00:00:00:00:fe-02:00:00:00:01:02 "
		"--dst-ip 10.0.0.250-10.0.1.5 --src-port 1-7",
		"rx fake}1 -n 1000 -q --check", 1000);
}

/* ---- what goes wrong is seen ---- */

static bool lose_every_tenth(struct netmap_slot *slot, uint8_t *buffer, uint64_t n)
{
	(void)buffer;
	if (n % 10 == 5)
		slot->len = 0;
	return true;
}

static bool spoil_every_tenth(struct netmap_slot *slot, uint8_t *buffer, uint64_t n)
{
	(void)slot;
	if (n % 10 == 5)
		buffer[59] ^= 1;
	return true;
}

static bool exchange_neighbours(struct netmap_slot *slot, uint8_t *buffer, uint64_t n)
{
	static uint32_t before;
	static struct netmap_slot *slot_before;

	(void)buffer;
	if (n % 10 == 5) {
		slot_before = slot;
		before = slot->buf_idx;
	} else if (n % 10 == 6 && slot_before) {
		slot_before->buf_idx = slot->buf_idx;
		slot->buf_idx = before;
	}
	return n % 10 != 5;
}

static bool repeat_every_tenth(struct netmap_slot *slot, uint8_t *buffer, uint64_t n)
{
	static uint8_t copy[60];

	(void)slot;
	if (n % 10 == 4)
		memcpy(copy, buffer, sizeof(copy));
	else if (n % 10 == 5)
		memcpy(buffer, copy, sizeof(copy));
	return true;
}

static bool impossible_every_tenth(struct netmap_slot *slot, uint8_t *buffer, uint64_t n)
{
	(void)buffer;
	if (n % 20 == 5)
		slot->buf_idx = 0x7fffffff;
	else if (n % 20 == 15)
		slot->len = 2049;
	return true;
}

static void damage(bool (*tamper)(struct netmap_slot *, uint8_t *, uint64_t), const char *figure_of,
		   unsigned int rx_packets)
{
	static const char *const all[] = {"lost", "duplicated", "reordered", "corrupted"};
	struct gen tx, rx;
	char line[64];
	size_t i;

	create(1, 2048, 0, tamper);
	snprintf(line, sizeof(line), "rx fake}1 -n %u -q --check", rx_packets);
	/* 1000 packets and one more: what is missing shows when the next one comes */
	both(&rx, line, &tx, "tx fake{1 -n 1001 -q");
	assert_int_equal(rx.status, STATUS_BAD_TRAFFIC);
	for (i = 0; i < 4; i++) {
		bool expected = !strcmp(all[i], figure_of) ||
				/* the number of a spoilt or overwritten frame never comes */
				(!strcmp(all[i], "lost") && strcmp(figure_of, "reordered") != 0);

		if (figure_in(&rx, "sequence", all[i]) != (expected ? 100 : 0))
			fail_msg("%s: %s is %lld", figure_of, all[i],
				 (long long)figure_in(&rx, "sequence", all[i]));
	}
	done(&tx);
	done(&rx);
	fake_destroy();
}

static void damage_is_counted(void **state)
{
	(void)state;
	damage(lose_every_tenth, "lost", 901);
	damage(spoil_every_tenth, "corrupted", 1001);
	damage(exchange_neighbours, "reordered", 1001);
	damage(repeat_every_tenth, "duplicated", 1001);
}

static void empty_and_impossible_slots(void **state)
{
	struct gen tx, rx;

	(void)state;
	create(1, 2048, 0, lose_every_tenth);
	both(&rx, "rx fake}1 -n 901 -q", &tx, "tx fake{1 -n 1001 -q");
	assert_int_equal(rx.status, STATUS_OK);
	assert_int_equal(figure(&rx, "empty_slots"), 100);
	done(&tx);
	done(&rx);
	fake_destroy();

	create(1, 2048, 0, impossible_every_tenth);
	both(&rx, "rx fake}1 -n 1001 -q --check", &tx, "tx fake{1 -n 1001 -q");
	assert_int_equal(rx.status, STATUS_BAD_TRAFFIC);
	assert_int_equal(figure(&rx, "bad"), 100);
	assert_int_equal(figure_in(&rx, "sequence", "lost"), 100);
	done(&tx);
	done(&rx);
	fake_destroy();
}

static void a_broken_port_is_an_error(void **state)
{
	struct gen rx;

	(void)state;
	create(1, 2048, 0, NULL);
	start(&rx, "rx fake}1 -q");
	fake_break();
	end(&rx);
	assert_int_equal(rx.status, STATUS_FAILED);
	assert_non_null(strstr(json_string_value(json_object_get(rx.report, "error")), "POLLERR"));
	done(&rx);
	fake_destroy();
}

static void a_port_that_is_not_there_is_an_error(void **state)
{
	struct gen rx;

	(void)state;
	create(1, 2048, 0, NULL);
	start(&rx, "rx nothing -q");
	end(&rx);
	assert_int_equal(rx.status, STATUS_FAILED);
	start(&rx, "rx fake{1 -q -t 2");
	end(&rx);
	assert_int_equal(rx.status, STATUS_FAILED);
	fake_destroy();
}

static void frames_too_long_for_the_port_are_refused(void **state)
{
	struct gen tx;

	(void)state;
	create(1, 64, 0, NULL); /* 31 slots of 64 bytes are the most */
	start(&tx, "tx fake{1 -q -s 1985 -n 1");
	end(&tx);
	assert_int_equal(tx.status, STATUS_FAILED);
	done(&tx);
	every_packet_arrives_intact("tx fake{1 -q -s 1984 -n 5", "rx fake}1 -q -n 5 --check", 5);
}

/* ---- when it ends ---- */

static void what_count_leaves_stays_for_the_next(void **state)
{
	struct gen tx, rx;

	(void)state;
	create(1, 2048, 0, NULL);
	start(&tx, "tx fake{1 -n 10 -q --timeout 0");
	end(&tx);
	assert_int_equal(tx.status, STATUS_OK); /* told not to wait */
	assert_int_equal(figure(&tx, "pending"), 10);
	done(&tx);
	start(&rx, "rx fake}1 -n 7 -q --check");
	end(&rx);
	assert_int_equal(rx.status, STATUS_OK);
	done(&rx);
	start(&rx, "rx fake}1 -n 3 -q --join");
	end(&rx);
	assert_int_equal(rx.status, STATUS_OK);
	assert_int_equal(figure(&rx, "packets"), 3);
	done(&rx);
	fake_destroy();
}

static void a_peer_that_takes_nothing(void **state)
{
	struct gen tx;

	(void)state;
	create(1, 2048, 0, NULL);
	start(&tx, "tx fake{1 -n 10 -q --timeout 50ms");
	end(&tx);
	assert_int_equal(tx.status, STATUS_BAD_TRAFFIC);
	assert_int_equal(figure(&tx, "pending"), 10);
	done(&tx);
	/* full: it waits, and stops when told to */
	start(&tx, "tx fake{1 -n 100 -q --timeout 1ms -T 50ms");
	end(&tx);
	assert_int_equal(tx.status, STATUS_OK);
	assert_int_equal(figure(&tx, "packets"), small.slots - 1 - 10);
	assert_string_equal(json_string_value(json_object_get(tx.report, "stopped_by")), "time");
	done(&tx);
	fake_destroy();
}

static void idle_timeout(void **state)
{
	struct gen tx, rx;

	(void)state;
	create(1, 2048, 0, NULL);
	start(&rx, "rx fake}1 -q --idle-timeout 30ms");
	end(&rx);
	assert_int_equal(rx.status, STATUS_OK);
	assert_int_equal(figure(&rx, "packets"), 0);
	assert_string_equal(json_string_value(json_object_get(rx.report, "stopped_by")), "idle");
	done(&rx);
	both(&rx, "rx fake}1 -q --idle-timeout 30ms --wait-first 60 -n 6 --check", &tx,
	     "tx fake{1 -q -n 5");
	assert_int_equal(rx.status, STATUS_BAD_TRAFFIC);
	assert_int_equal(figure(&rx, "packets"), 5);
	assert_int_equal(figure(&rx, "missing"), 1);
	done(&rx);
	done(&tx);
	fake_destroy();
}

/* ---- buffers, files, latency ---- */

static void temporary(char *path)
{
	static const char template[] = "/tmp/test_gen_XXXXXX";
	int fd;

	memcpy(path, template, sizeof(template));
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
}

static char *content(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static void buffers_received_are_the_buffers_sent(void **state)
{
	char a[32], b[32], tx_line[128], rx_line[128], *sent, *received;
	struct gen tx, rx;

	(void)state;
	temporary(a);
	temporary(b);
	snprintf(tx_line, sizeof(tx_line), "tx fake{1 -q -n 1000 -s 60-900 --print-buf-idx %s", a);
	snprintf(rx_line, sizeof(rx_line), "rx fake}1 -q -n 1000 --print-buf-idx %s", b);
	create(1, 256, 0, NULL);
	both(&rx, rx_line, &tx, tx_line);
	assert_int_equal(rx.status, STATUS_OK);
	sent = content(a);
	received = content(b);
	assert_string_equal(sent, received);
	assert_memory_equal(sent, "0 2", 3);
	free(sent);
	free(received);
	done(&tx);
	done(&rx);
	unlink(a);
	unlink(b);
	fake_destroy();
}

static void make_capture(const char *path)
{
	static const uint32_t sizes[] = {14, 60, 61, 255, 256, 257, 511, 512, 513, 1514, 9014};
	struct capture_writer *w = capture_create(path);
	uint8_t frame[9014];
	size_t i, k;

	assert_non_null(w);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (k = 0; k < sizes[i]; k++)
			frame[k] = (uint8_t)(i * 31 + k * 7 + k / 256);
		capture_write(w, frame, sizes[i], 1000000000LL * 1700000000 + (int64_t)i * 1000);
	}
	assert_int_equal(capture_close(w), 0);
}

static void replay_and_capture(const char *more, unsigned int loops)
{
	char a[32], b[32], tx_line[128], rx_line[128];
	struct capture in, out;
	struct gen tx, rx;
	size_t i;

	temporary(a);
	temporary(b);
	make_capture(a);
	assert_int_equal(capture_read(&in, a), 0);
	snprintf(tx_line, sizeof(tx_line), "tx fake{1 -q --replay %s%s", a, more);
	snprintf(rx_line, sizeof(rx_line), "rx fake}1 -q -n %zu -w %s", in.n * loops, b);
	both(&rx, rx_line, &tx, tx_line);
	assert_int_equal(tx.status, STATUS_OK);
	assert_int_equal(rx.status, STATUS_OK);
	assert_string_equal(json_string_value(json_object_get(tx.report, "stopped_by")),
			    "end of file");
	assert_int_equal(capture_read(&out, b), 0);
	assert_int_equal(out.n, in.n * loops);
	for (i = 0; i < out.n; i++) {
		const struct capture_frame *f = &in.frames[i % in.n], *g = &out.frames[i];

		assert_int_equal(f->len, g->len);
		assert_memory_equal(in.data + f->offset, out.data + g->offset, f->len);
	}
	capture_free(&in);
	capture_free(&out);
	done(&tx);
	done(&rx);
	unlink(a);
	unlink(b);
}

static void a_capture_file_arrives_byte_for_byte(void **state)
{
	(void)state;
	create(1, 512, 0, NULL);
	replay_and_capture("", 1);
	replay_and_capture(" --loop 50", 50);
	replay_and_capture(" --timing", 1);
	replay_and_capture(" --speed 0.5 --loop 2", 2);
	replay_and_capture(" --rate 100k", 1);
	fake_destroy();
	create(1, 512, 10, NULL);
	replay_and_capture("", 1);
	fake_destroy();
}

/* What has standard output has it alone, and leaves it open. */
static void results_to_standard_output(void **state)
{
	char file[32], *text;
	struct captured_stderr captured;
	char said[4096];
	struct capture c;
	struct gen tx, rx;
	int fd, old;

	(void)state;
	create(1, 2048, 0, NULL);
	for (int round = 0; round < 2; round++) {
		temporary(file);
		fd = open(file, O_WRONLY | O_CLOEXEC);
		fflush(stdout);
		old = dup(STDOUT_FILENO);
		dup2(fd, STDOUT_FILENO);
		capture_stderr(&captured);
		both(&rx, round ? "rx fake}1 -n 50 --print-buf-idx -" : "rx fake}1 -n 50 -w -", &tx,
		     "tx fake{1 -q -n 50 -s 100");
		release_stderr(&captured, said, sizeof(said));
		/* It is open, and nothing that was buffered comes now. */
		assert_int_equal(fflush(stdout), 0);
		assert_int_equal(fcntl(STDOUT_FILENO, F_GETFD), 0);
		dup2(old, STDOUT_FILENO);
		close(old);
		close(fd);
		assert_int_equal(rx.status, STATUS_OK);
		assert_non_null(strstr(said, "50 packets, 5000 bytes"));
		if (round) {
			text = content(file);
			assert_null(strstr(text, "packets"));
			assert_int_equal(count_lines(text), 50);
			free(text);
		} else {
			assert_int_equal(capture_read(&c, file), 0);
			assert_int_equal(c.n, 50);
			capture_free(&c);
		}
		done(&tx);
		done(&rx);
		unlink(file);
	}
	fake_destroy();
}

static void ping_and_pong(const char *ping_more, const char *pong_more)
{
	char ping_line[128], pong_line[128];
	struct gen ping, pong;

	snprintf(ping_line, sizeof(ping_line), "ping fake{1 -q -n 100 --timeout 60 %s", ping_more);
	snprintf(pong_line, sizeof(pong_line), "pong fake}1 -q -n 100 %s", pong_more);
	both(&pong, pong_line, &ping, ping_line);
	assert_int_equal(ping.status, STATUS_OK);
	assert_int_equal(pong.status, STATUS_OK);
	assert_int_equal(figure_in(&ping, "latency", "answered"), 100);
	assert_int_equal(figure_in(&ping, "latency", "lost"), 0);
	assert_true(figure_in(&ping, "latency", "min_ns") > 0);
	assert_true(figure_in(&ping, "latency", "p50_ns") >= figure_in(&ping, "latency", "min_ns"));
	assert_true(figure_in(&ping, "latency", "max_ns") >= figure_in(&ping, "latency", "p99_ns"));
	assert_int_equal(figure(&pong, "packets"), 100);
	done(&ping);
	done(&pong);
}

static void round_trips(void **state)
{
	(void)state;
	create(1, 256, 0, NULL);
	ping_and_pong("-s 60", "-b 1");
	ping_and_pong("-s 60-1000", "--zero-copy");
	ping_and_pong("-s 1000 -r 20k", "-b 1");
	fake_destroy();
	create(1, 256, 12, NULL);
	ping_and_pong("-s 58", "--zero-copy");
	ping_and_pong("-s 700", "-b 1");
	fake_destroy();
}

static void a_ping_without_answer_is_lost(void **state)
{
	struct gen ping;

	(void)state;
	create(1, 2048, 0, NULL);
	start(&ping, "ping fake{1 -q -n 2 --timeout 10ms");
	end(&ping);
	assert_int_equal(ping.status, STATUS_BAD_TRAFFIC);
	assert_int_equal(figure_in(&ping, "latency", "lost"), 2);
	assert_int_equal(figure_in(&ping, "latency", "answered"), 0);
	done(&ping);
	fake_destroy();
}

static void zero_copy_frames_are_whole(void **state)
{
	struct gen tx, rx;
	struct capture c;
	char file[32], line[128];
	size_t i;

	(void)state;
	temporary(file);
	snprintf(line, sizeof(line), "rx fake}1 -q -n 500 -w %s", file);
	create(1, 2048, 0, NULL);
	both(&rx, line, &tx, "tx fake{1 -q -n 500 --zero-copy -s 100");
	assert_int_equal(rx.status, STATUS_OK);
	assert_int_equal(tx.status, STATUS_OK);
	assert_int_equal(capture_read(&c, file), 0);
	assert_int_equal(c.n, 500);
	for (i = 0; i < c.n; i++) {
		assert_int_equal(c.frames[i].len, 100);
		assert_true(frame_is_intact(c.data + c.frames[i].offset, 100));
	}
	capture_free(&c);
	done(&tx);
	done(&rx);
	unlink(file);
	fake_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_slot),
		cmocka_unit_test(mixed_sizes_in_small_buffers),
		cmocka_unit_test(longest_frames),
		cmocka_unit_test(threads_on_rings_of_their_own),
		cmocka_unit_test(one_thread_on_all_rings),
		cmocka_unit_test(busy_on_both_sides),
		cmocka_unit_test(with_virtio_net_headers),
		cmocka_unit_test(at_a_rate),
		cmocka_unit_test(address_ranges),
		cmocka_unit_test(damage_is_counted),
		cmocka_unit_test(empty_and_impossible_slots),
		cmocka_unit_test(a_port_that_is_not_there_is_an_error),
		cmocka_unit_test(frames_too_long_for_the_port_are_refused),
		cmocka_unit_test(what_count_leaves_stays_for_the_next),
		cmocka_unit_test(a_peer_that_takes_nothing),
		cmocka_unit_test(idle_timeout),
		cmocka_unit_test(buffers_received_are_the_buffers_sent),
		cmocka_unit_test(a_capture_file_arrives_byte_for_byte),
		cmocka_unit_test(results_to_standard_output),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(a_ping_without_answer_is_lost),
		cmocka_unit_test(zero_copy_frames_are_whole),
		cmocka_unit_test(a_broken_port_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
