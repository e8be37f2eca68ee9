/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-replay into a pipe inside this process: all of the program but main(), with the system
 * calls that reach a port led to fake_netmap.c. And when frames are due, on a clock of the test's
 * own.
 */
#include "captured_stderr.h"
#include "fake_netmap.h"
#include "fake_peer.h"
#include "number.h"
#include "player.h"
#include "stop.h"
#include "tool_program.h"

#include <pcap/pcap.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define S  INT64_C(1000000000)

/* ---- capture files ---- */

struct file {
	char name[32];
	pcap_t *pcap;
	pcap_dumper_t *dumper;
};

static void file_create(struct file *f)
{
	int fd;

	strcpy(f->name, "/tmp/test_replay-XXXXXX");
	fd = mkstemp(f->name);
	assert_true(fd >= 0);
	f->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 262144,
						       PCAP_TSTAMP_PRECISION_NANO);
	f->dumper = pcap_dump_fopen(f->pcap, fdopen(fd, "w"));
	assert_non_null(f->dumper);
}

static const uint8_t *frame(uint32_t n, uint32_t len)
{
	static uint8_t data[PEER_LONGEST];
	uint32_t i;

	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 5 + n);
	return data;
}

/* Frame n, of which the file has caplen bytes. */
static void file_add_cut(struct file *f, uint32_t n, uint32_t caplen, uint32_t len, int64_t ns)
{
	struct pcap_pkthdr h = {.caplen = caplen, .len = len};

	h.ts.tv_sec = ns / S;
	h.ts.tv_usec = ns % S;
	pcap_dump((u_char *)f->dumper, &h, frame(n, caplen));
}

static void file_add(struct file *f, uint32_t n, uint32_t len, int64_t ns)
{
	file_add_cut(f, n, len, len, ns);
}

static void file_done(struct file *f)
{
	pcap_dump_close(f->dumper);
	pcap_close(f->pcap);
}

/* n frames of 60 bytes, numbered from first, a distance apart from start on. */
static void file_make(struct file *f, uint32_t first, uint32_t n, int64_t start, int64_t distance)
{
	uint32_t i;

	file_create(f);
	for (i = 0; i < n; i++)
		file_add(f, first + i, 60, start + i * distance);
	file_done(f);
}

/* ---- captures ---- */

static void times_are(const struct capture *c, const int64_t *when, const uint8_t *first_bytes,
		      size_t n)
{
	size_t i;

	assert_int_equal(c->n, n);
	for (i = 0; i < n; i++) {
		assert_int_equal(c->frames[i].when, when[i]);
		assert_int_equal(c->data[c->frames[i].offset], first_bytes[i]);
	}
}

static void read_files(struct capture *c, const struct file *a, const struct file *b,
		       enum capture_order order)
{
	const char *names[2] = {a->name, b ? b->name : NULL};

	assert_int_equal(capture_read_files(c, names, b ? 2 : 1, order), 0);
	unlink(a->name);
	if (b)
		unlink(b->name);
}

static void file_after_file(void **state)
{
	static const int64_t when[] = {0, 10, 20, 30, 37, 44, 51};
	static const uint8_t first[] = {1, 2, 3, 11, 12, 13, 14};
	struct capture c;
	struct file a, b;

	(void)state;
	/* The second was captured before the first, and it does not matter. */
	file_make(&a, 1, 3, 1000 * S + 1, 10);
	file_make(&b, 11, 4, 500 * S + 3, 7);
	read_files(&c, &a, &b, CAPTURE_IN_TURN);
	times_are(&c, when, first, 7);
	assert_int_equal(capture_period(&c), 51 + 51 / 6);
	capture_free(&c);
}

static void merged_by_time(void **state)
{
	static const int64_t when[] = {0, 5, 10, 15, 20, 20, 25};
	static const uint8_t first[] = {1, 11, 2, 12, 3, 13, 14};
	struct capture c;
	struct file a, b;

	(void)state;
	file_create(&a);
	file_add(&a, 1, 60, S);
	file_add(&a, 2, 60, S + 10);
	file_add(&a, 3, 60, S + 20);
	file_done(&a);
	file_create(&b);
	file_add(&b, 11, 60, S + 5);
	file_add(&b, 12, 60, S + 15);
	file_add(&b, 13, 60, S + 20); /* as early as another file's: that file came first */
	file_add(&b, 14, 60, S + 25);
	file_done(&b);
	read_files(&c, &a, &b, CAPTURE_BY_TIME);
	times_are(&c, when, first, 7);
	capture_free(&c);
}

static void times_that_go_backwards(void **state)
{
	static const int64_t when[] = {0, 20, 20, 30};
	static const uint8_t first[] = {1, 2, 3, 4};
	struct capture c;
	struct file a;

	(void)state;
	file_create(&a);
	file_add(&a, 1, 60, S);
	file_add(&a, 2, 60, S + 20);
	file_add(&a, 3, 60, S - 5);
	file_add(&a, 4, 60, S + 30);
	file_done(&a);
	read_files(&c, &a, NULL, CAPTURE_IN_TURN);
	times_are(&c, when, first, 4);
	capture_free(&c);
}

/* Three times the same pcapng file, whose times are the first and the last that there can be. */
static void times_that_do_not_fit(void **state)
{
	static const uint32_t start[] = {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, ~0U, ~0U,
					 28,	     1,	 20,	     1, 0,   20};
	static const uint32_t last = 92;
	char name[] = "/tmp/test_replay-XXXXXX";
	const char *names[] = {name, name, name};
	struct capture c;
	uint32_t i;
	FILE *f;

	(void)state;
	f = fdopen(mkstemp(name), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(start, sizeof(start), 1, f), 1);
	for (i = 0; i < 2; i++) {
		const uint32_t packet[] = {6, 92, 0, i ? ~0U : 0, i ? ~0U : 0, 60, 60};

		assert_int_equal(fwrite(packet, sizeof(packet), 1, f), 1);
		assert_int_equal(fwrite(frame(i, 60), 60, 1, f), 1);
		assert_int_equal(fwrite(&last, sizeof(last), 1, f), 1);
	}
	fclose(f);
	assert_int_equal(capture_read_files(&c, names, 3, CAPTURE_IN_TURN), 0);
	assert_int_equal(c.n, 6);
	for (i = 1; i < 6; i++)
		assert_true(c.frames[i].when >= c.frames[i - 1].when);
	assert_true(c.frames[1].when >= UINT32_MAX * S);
	assert_true(capture_period(&c) >= c.frames[5].when);
	capture_free(&c);
	unlink(name);
}

static void gaps_are_limited(void **state)
{
	static const int64_t when[] = {0, 10, 60, 65, 115};
	static const uint8_t first[] = {1, 2, 3, 4, 5};
	struct capture c;
	struct file a;

	(void)state;
	file_create(&a);
	file_add(&a, 1, 60, S);
	file_add(&a, 2, 60, S + 10);
	file_add(&a, 3, 60, 100 * S);
	file_add(&a, 4, 60, 100 * S + 5);
	file_add(&a, 5, 60, 100 * S + 56);
	file_done(&a);
	read_files(&c, &a, NULL, CAPTURE_IN_TURN);
	capture_limit_gaps(&c, 50);
	times_are(&c, when, first, 5);
	capture_free(&c);
}

static void left_out(void **state)
{
	struct capture_left_out out;
	struct capture c;
	struct file a;

	(void)state;
	file_create(&a);
	file_add(&a, 1, 60, S);
	file_add_cut(&a, 2, 96, 1514, S);
	file_add(&a, 3, 2000, S);
	file_add_cut(&a, 4, 2001, 2001, S);
	file_add_cut(&a, 5, 2001, 9000, S);
	file_done(&a);
	read_files(&c, &a, NULL, CAPTURE_IN_TURN);
	assert_int_equal(c.cut, 2);
	assert_int_equal(c.largest, 2001);
	out = capture_leave_out(&c, false, 5000);
	assert_int_equal(out.cut + out.too_long, 0);
	assert_int_equal(c.n, 5);
	out = capture_leave_out(&c, true, 2000);
	assert_int_equal(out.cut, 2);
	assert_int_equal(out.too_long, 1);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.largest, 2000);
	assert_int_equal(c.cut, 0);
	capture_free(&c);
}

/* ---- when frames are due ---- */

static struct capture three_frames(void)
{
	static struct capture_frame frames[3] = {
		{.len = 100, .when = 0}, {.len = 200, .when = 10}, {.len = 300, .when = 100}};

	return (struct capture){.frames = frames, .n = 3, .largest = 300};
}

static uint32_t due_and_sent(struct replay *r, int64_t now)
{
	int64_t wait = 0;
	uint32_t n = replay_due(r, now, &wait);

	replay_sent(r, n);
	return n;
}

static int64_t wait_of(struct replay *r, int64_t now)
{
	int64_t wait = -1;

	assert_int_equal(replay_due(r, now, &wait), 0);
	return wait;
}

static void due_by_the_files_times(void **state)
{
	struct replay_settings s = {.timing = true, .speed = 0.5, .burst = 64, .loops = 2};
	struct capture c = three_frames();
	struct histogram h;
	struct replay r;

	(void)state;
	replay_begin(&r, &c, &s, 1000);
	assert_int_equal(due_and_sent(&r, 1000), 1);
	assert_int_equal(wait_of(&r, 1000), 20);
	assert_int_equal(wait_of(&r, 1019), 1);
	assert_int_equal(due_and_sent(&r, 1020), 1);
	/* held up: what is due is sent, and how late it is is known */
	histogram_init(&h);
	replay_lateness(&r, 2, 1303, &h);
	assert_int_equal(h.max, 103);
	assert_int_equal(h.min, 3); /* the next round begins 150 after the first */
	assert_int_equal(due_and_sent(&r, 1303), 2);
	assert_int_equal(wait_of(&r, 1303), 17);
	assert_int_equal(due_and_sent(&r, 100000), 2);
	assert_true(replay_done(&r));
	/* so slow that the second is never due */
	s.speed = 1e-300;
	replay_begin(&r, &c, &s, 1000);
	assert_int_equal(due_and_sent(&r, 1000), 1);
	assert_int_equal(wait_of(&r, 1000), INT64_MAX - 1000);
}

static void due_at_a_rate_in_bits(void **state)
{
	/* a byte a microsecond */
	struct replay_settings s = {.bits = 8000000, .burst = 4, .loops = 0};
	struct capture c = three_frames();
	struct histogram h;
	struct replay r;

	(void)state;
	replay_begin(&r, &c, &s, 0);
	assert_int_equal(due_and_sent(&r, 0), 1);
	assert_int_equal(wait_of(&r, 0), 100 * US);
	assert_int_equal(wait_of(&r, 99 * US), US);
	assert_int_equal(due_and_sent(&r, 300 * US), 2);
	assert_int_equal(wait_of(&r, 300 * US), 300 * US);
	histogram_init(&h);
	replay_lateness(&r, 2, 705 * US, &h);
	assert_int_equal(h.max, 105 * US);
	assert_int_equal(h.min, 5 * US);
	/* lost time is caught up by a burst at most: four frames, the last of which is due now */
	assert_int_equal(due_and_sent(&r, 10 * S), 4);
	assert_int_equal(wait_of(&r, 10 * S), 100 * US);
	assert_false(replay_done(&r));
}

static void a_count_ends_it(void **state)
{
	struct replay_settings s = {.burst = 4, .loops = 0, .count = 7};
	struct capture c = three_frames();
	struct replay r;

	(void)state;
	replay_begin(&r, &c, &s, 0);
	assert_int_equal(due_and_sent(&r, 0), 4);
	assert_int_equal(due_and_sent(&r, 0), 3);
	assert_true(replay_done(&r));
}

static void rates(void **state)
{
	static const struct {
		const char *text;
		uint64_t milli_pps, bits;
	} good[] = {{"1000", 1000000, 0},      {"14.88M", UINT64_C(14880000000), 0},
		    {"0.5pps", 500, 0},	       {"10kpps", 10000000, 0},
		    {"100Mbps", 0, 100000000}, {"2.5Gbit", 0, UINT64_C(2500000000)},
		    {"64kbit/s", 0, 64000},    {"1bits/s", 0, 1}};
	static const char *const bad[] = {"",	 "x", "-1",   "1x",   "10MB", "1kk",
					  "bps", "0", "0bps", "1e99", "10 M"};
	uint64_t pps, bits;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_traffic_rate(good[i].text, &pps, &bits), 0);
		assert_int_equal(pps, good[i].milli_pps);
		assert_int_equal(bits, good[i].bits);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(parse_traffic_rate(bad[i], &pps, &bits) < 0);
}

/* ---- the program ---- */

static struct replay_options options;

static int parse(int argc, char **argv)
{
	return options_parse(&options, argc, argv);
}

static enum exit_status run(json_t **report)
{
	static struct player player; /* large */
	enum exit_status status;
	int result = player_open(&player, &options);

	if (!result)
		result = player_run(&player);
	status = player_status(&player, result);
	*report = player_json(&player, status);
	player_close(&player);
	return status;
}

static const struct tool tool = {"ptnet-replay", parse, run};

static void start(const char *words, const struct file *f)
{
	char line[512];

	snprintf(line, sizeof(line), "-i fake{1 %s %s", words, f->name);
	tool_start(&tool, line);
}

static json_int_t figure(const char *object, const char *name)
{
	return tool_figure(object ? json_object_get(tool_report, object) : tool_report, name);
}

static struct peer *reader;

static void create(unsigned int slots, unsigned int buf_size, unsigned int vnet_hdr)
{
	struct fake_setup s = {
		.rings = 1, .slots = slots, .buf_size = buf_size, .vnet_hdr = vnet_hdr};

	fake_create(&s);
	reader = peer_open("netmap:fake}1");
}

static void done(void)
{
	peer_close(reader);
	fake_destroy();
}

static void expect(uint32_t n, uint32_t len)
{
	peer_receive(reader);
	assert_int_equal(reader->len, len);
	assert_memory_equal(reader->data, frame(n, len), len);
}

static void not_before_their_time(void **state)
{
	int64_t begin;
	struct file f;
	uint32_t n;

	(void)state;
	create(32, 2048, 0);
	file_make(&f, 0, 20, S, 10 * MS);
	begin = now_ns();
	start("--speed 4", &f);
	for (n = 0; n < 20; n++) {
		expect(n, 60);
		assert_true(now_ns() - begin >= n * 10 * MS / 4);
	}
	tool_wait();
	assert_int_equal(tool_status, STATUS_OK);
	assert_int_equal(figure(NULL, "packets"), 20);
	assert_int_equal(figure(NULL, "bytes"), 1200);
	assert_int_equal(figure("late", "packets"), 20);
	assert_true(json_is_true(json_object_get(tool_report, "complete")));
	unlink(f.name);
	done();
}

static void rounds(void **state)
{
	struct file f;
	uint32_t n;

	(void)state;
	create(16, 2048, 0);
	file_make(&f, 0, 7, S, S);
	start("--rate max --loop 30", &f);
	for (n = 0; n < 210; n++)
		expect(n % 7, 60);
	tool_wait();
	assert_int_equal(figure(NULL, "packets"), 210);
	assert_int_equal(figure(NULL, "frames"), 7);
	assert_int_equal(figure("late", "packets"), 0);
	assert_int_equal(tool_status, STATUS_OK);
	unlink(f.name);
	done();
}

static void for_ever_is_until_told(void **state)
{
	struct file f;
	uint32_t n;

	(void)state;
	create(16, 2048, 0);
	file_make(&f, 0, 7, S, S);
	start("--rate 1Mpps --loop forever", &f);
	for (n = 0; n < 1000; n++)
		expect(n % 7, 60);
	stop_ask();
	for (; fake_in_flight("fake{1"); n++)
		expect(n % 7, 60);
	tool_wait();
	for (; peer_try_receive(reader); n++)
		;
	assert_int_equal(figure(NULL, "packets"), n);
	assert_true(json_is_false(json_object_get(tool_report, "complete")));
	assert_int_equal(tool_status, STATUS_OK);
	unlink(f.name);
	done();
}

static void long_and_cut_frames(void **state)
{
	struct file f;

	(void)state;
	create(8, 512, 12);
	file_create(&f);
	file_add(&f, 1, 60, S);
	file_add_cut(&f, 2, 96, 1514, S);
	file_add(&f, 3, 7 * 512 - 12, S);
	file_add(&f, 4, 7 * 512 - 11, S);
	file_add(&f, 5, 501, S);
	file_done(&f);
	start("--rate max", &f);
	peer_receive(reader);
	assert_int_equal(reader->len, 72);
	assert_memory_equal(reader->data + 12, frame(1, 60), 60);
	peer_receive(reader);
	assert_int_equal(reader->len, 7 * 512);
	assert_int_equal(reader->slots, 7);
	assert_memory_equal(reader->data + 12, frame(3, 7 * 512 - 12), 7 * 512 - 12);
	peer_receive(reader);
	assert_int_equal(reader->slots, 2);
	tool_wait();
	assert_int_equal(figure("skipped", "cut"), 1);
	assert_int_equal(figure("skipped", "too_long"), 1);
	assert_int_equal(figure(NULL, "packets"), 3);
	start("--rate max --cut -n 2", &f);
	peer_receive(reader);
	peer_receive(reader);
	assert_int_equal(reader->len, 96 + 12);
	assert_memory_equal(reader->data + 12, frame(2, 96), 96);
	tool_wait();
	assert_int_equal(figure("skipped", "cut"), 0);
	unlink(f.name);
	done();
}

static void nobody_takes_it(void **state)
{
	struct file f;

	(void)state;
	create(8, 2048, 0);
	file_make(&f, 0, 5, S, 1);
	start("--timeout 10ms", &f);
	tool_wait();
	assert_int_equal(tool_status, STATUS_BAD_TRAFFIC);
	assert_int_equal(figure(NULL, "pending"), 5);
	/* a full port holds it up, until told to end */
	start("--rate max --loop 100", &f);
	assert_int_equal(port_wait(&reader->port, POLLIN, 10 * S), WAIT_READY);
	stop_ask();
	stop_ask();
	tool_wait();
	assert_int_equal(tool_status, STATUS_OK);
	assert_in_range(figure(NULL, "packets"), 0, 2);
	unlink(f.name);
	done();
}

static void what_cannot_be_sent(void **state)
{
	char line[128];
	struct file f;

	(void)state;
	fake_create(&(struct fake_setup){.rings = 1, .slots = 8, .buf_size = 64});
	file_create(&f);
	file_add_cut(&f, 1, 60, 1514, S);
	file_add(&f, 1, 7 * 64 + 1, S);
	file_done(&f);
	snprintf(line, sizeof(line), "-i fake{1 %s", f.name);
	tool_cannot_begin(&tool, line,
			  "1 are cut short in the file (--cut sends them), 1 longer than the 448");
	snprintf(line, sizeof(line), "-i fake{2 %s", f.name);
	tool_cannot_begin(&tool, line, "fake{2: cannot register");
	snprintf(line, sizeof(line), "-i fake{1/R %s", f.name);
	tool_cannot_begin(&tool, line, "no ring is bound: see the flags");
	tool_cannot_begin(&tool, "-i fake{1 /nonexistent",
			  "cannot read the capture file /nonexistent");
	tool_cannot_begin(&tool, "-i fake{1 /proc/self/exe", "/proc/self/exe");
	unlink(f.name);
	fake_destroy();
}

/* ---- the command line ---- */

static void command_lines(void **state)
{
	struct replay_options *o = &options;

	(void)state;
	assert_int_equal(
		tool_parse(&tool,
			   "a.pcap -i vale0:x b.pcap -m -x 2.5 -l 3 -n 9 -g 0.5 --cut -b 8 -j"),
		-1);
	assert_string_equal(o->port, "vale0:x");
	assert_int_equal(o->n_files, 2);
	assert_string_equal(o->files[0], "a.pcap");
	assert_string_equal(o->files[1], "b.pcap");
	assert_int_equal(o->order, CAPTURE_BY_TIME);
	assert_true(o->settings.timing && o->settings.speed == 2.5);
	assert_int_equal(o->settings.loops, 3);
	assert_int_equal(o->settings.count, 9);
	assert_int_equal(o->settings.burst, 8);
	assert_int_equal(o->max_gap, S / 2);
	assert_true(o->send_cut && o->reporting.json);
	assert_int_equal(tool_parse(&tool, "-i p -r 10Mbps -l forever -"), -1);
	assert_int_equal(o->settings.bits, 10000000);
	assert_int_equal(o->settings.loops, 0);
	assert_false(o->settings.timing);
	assert_string_equal(o->port, "netmap:p");
	tool_refuses(&tool, "x.pcap", "give a port");
	tool_refuses(&tool, "-i p", "give a capture file");
	tool_refuses(&tool, "-i p x --rate fast", "--rate fast");
	tool_refuses(&tool, "-i p x --rate 5 --speed 2", "either --rate or --speed");
	tool_refuses(&tool, "-i p x --rate max --max-gap 1", "--max-gap");
	tool_refuses(&tool, "-i p x --speed 0", "--speed 0");
	tool_refuses(&tool, "-i p x --loop 0", "--loop 0");
	tool_refuses(&tool, "-i p x --loop twice", "--loop twice");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_after_file),	   cmocka_unit_test(merged_by_time),
		cmocka_unit_test(times_that_go_backwards), cmocka_unit_test(times_that_do_not_fit),
		cmocka_unit_test(gaps_are_limited),	   cmocka_unit_test(left_out),
		cmocka_unit_test(due_by_the_files_times),  cmocka_unit_test(due_at_a_rate_in_bits),
		cmocka_unit_test(a_count_ends_it),	   cmocka_unit_test(rates),
		cmocka_unit_test(not_before_their_time),   cmocka_unit_test(rounds),
		cmocka_unit_test(for_ever_is_until_told),  cmocka_unit_test(long_and_cut_frames),
		cmocka_unit_test(nobody_takes_it),	   cmocka_unit_test(what_cannot_be_sent),
		cmocka_unit_test(command_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
