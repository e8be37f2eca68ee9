/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-gen's command line, and its capture files' refusals.
 */
#include "capture.h"
#include "message.h"
#include "options.h"
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static char copy[512];

/* What the program says to its user here is not for the test's log. */
static int hush(void)
{
	int old = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

	assert_true(old >= 0 && null >= 0);
	fflush(stderr);
	dup2(null, STDERR_FILENO);
	close(null);
	return old;
}

static void unhush(int old)
{
	fflush(stderr);
	dup2(old, STDERR_FILENO);
	close(old);
}

static int parse(struct gen_options *o, const char *line)
{
	char *scan = copy, *argv[32] = {(char *)"ptnet-gen"};
	int argc = 1, result, old = hush();

	snprintf(copy, sizeof(copy), "%s", line);
	while ((argv[argc] = strsep(&scan, " ")))
		argc++;
	optind = 0;
	result = options_parse(o, argc, argv);
	unhush(old);
	return result;
}

static void defaults(void **state)
{
	struct gen_options o;

	(void)state;
	assert_int_equal(parse(&o, "tx eth0"), -1);
	assert_int_equal(o.function, GEN_TX);
	assert_string_equal(o.port, "netmap:eth0");
	assert_int_equal(size_largest(&o.size), 60);
	assert_int_equal(o.burst, 256);
	assert_int_equal(o.threads, 1);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.timeout, 2000000000);
	assert_false(o.check);
	assert_int_equal(parse(&o, "ping vale0:x"), -1);
	assert_string_equal(o.port, "vale0:x");
	assert_int_equal(o.timeout, 1000000000);
}

static void port_names(void **state)
{
	struct gen_options o;

	(void)state;
	assert_int_equal(parse(&o, "rx pipe{1-0@conf:rings=2"), -1);
	assert_string_equal(o.port, "netmap:pipe{1-0@conf:rings=2");
	assert_int_equal(parse(&o, "-i x rx"), -1);
	assert_string_equal(o.port, "netmap:x");
	assert_int_equal(parse(&o, "rx netmap:x"), -1);
	assert_string_equal(o.port, "netmap:x");
}

static void values(void **state)
{
	struct gen_options o;

	(void)state;
	assert_int_equal(parse(&o, "-n 1M rx --idle-timeout 0.5 netmap:x -j -c -t 4 --cpu 1"), -1);
	assert_int_equal(o.count, 1000000);
	assert_int_equal(o.idle_timeout, 500000000);
	assert_int_equal(o.wait_first, 500000000);
	assert_true(o.reporting.json);
	assert_null(o.reporting.json_file);
	assert_true(o.check);
	assert_int_equal(o.threads, 4);
	assert_int_equal(o.first_cpu, 1);
	assert_int_equal(parse(&o, "rx x --json=file --wait-first 3 --join"), -1);
	assert_string_equal(o.reporting.json_file, "file");
	assert_int_equal(o.wait_first, 3000000000);
	assert_int_equal(o.idle_timeout, 0);
	assert_true(o.check);
	assert_int_equal(parse(&o, "tx x --replay f --speed 2 --loop 0"), -1);
	assert_true(o.timing);
	assert_int_equal(o.loops, 0);
}

static void refusals(void **state)
{
	static const char *const lines[] = {
		"tx",
		"eth0",
		"send eth0",
		"tx eth0 more",
		"tx -i eth0 more",
		"tx -i eth0 --json file",
		"tx eth0 -s 41",
		"tx eth0 -n 0",
		"tx eth0 -n -1",
		"tx eth0 -t 65",
		"tx eth0 -b 0",
		"tx eth0 -r 0",
		"tx eth0 --no-such-option",
		"tx eth0 --src-mac 1",
		"tx eth0 --dst-ip 1.2.3",
		"tx eth0 --vnet-hdr 11",
		"tx eth0 --time 1h",
		"tx eth0 --speed 2",
		"tx eth0 --loop 2",
		"tx eth0 --replay f --speed 0",
		"tx eth0 --replay f -t 2",
		"tx eth0 --replay f --zero-copy",
		"tx eth0 --replay f --timing -r 5",
		"tx eth0 --zero-copy -s imix",
		"tx eth0 --check",
		"tx eth0 --capture f",
		"rx eth0 --replay f",
		"rx eth0 --zero-copy",
		"ping eth0 -t 2",
		"ping eth0 -s 57",
		"pong eth0 --print-buf-idx f",
		"rx eth0 -w - --json",
		"rx eth0 -w - --print-buf-idx -",
		"tx eth0 --json=- --print-buf-idx -",
	};
	struct gen_options o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (parse(&o, lines[i]) != STATUS_USAGE)
			fail_msg("'%s' accepted", lines[i]);
	}
}

static void refused(const void *content, size_t size, const char *reason)
{
	char path[] = "/tmp/test_gen_XXXXXX";
	struct capture c;
	int fd = mkstemp(path), old, result;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, size), size);
	close(fd);
	forget_complaints();
	old = hush();
	result = capture_read(&c, path);
	unhush(old);
	unlink(path);
	assert_int_equal(result, -1);
	assert_non_null(first_complaint());
	if (!strstr(first_complaint(), reason))
		fail_msg("'%s' does not say '%s'", first_complaint(), reason);
}

static void capture_files(void **state)
{
	/* pcap header: magic, version 2.4, snaplen 65535, then the link type */
	uint32_t header[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
	struct {
		uint32_t header[6], record[4];
		uint8_t half[30];
	} cut = {.record = {1, 2, 60, 60}};
	struct capture c;
	int old;

	(void)state;
	old = hush();
	assert_int_equal(capture_read(&c, "/nonexistent/file"), -1);
	assert_null(capture_create("/nonexistent/file"));
	unhush(old);
	refused("", 0, "capture file");
	refused("this is no capture file, whatever its name says", 48, "capture file");
	refused(header, sizeof(header), "holds no frame");
	memcpy(cut.header, header, sizeof(header));
	refused(&cut, sizeof(cut.header) + sizeof(cut.record) + 30, "after 0 frames");
	header[5] = 113; /* Linux cooked */
	refused(header, sizeof(header), "not Ethernet");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),	 cmocka_unit_test(port_names),
		cmocka_unit_test(values),	 cmocka_unit_test(refusals),
		cmocka_unit_test(capture_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
