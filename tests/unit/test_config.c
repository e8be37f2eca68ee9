/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file: what is taken from it, and what is said about each kind of mistake. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/configuration.h"
#include "control/protocol.h"

static int parse(struct configuration *configuration, const char *text, struct error *error)
{
	configuration_init(configuration);
	return configuration_parse(configuration, text, strlen(text), error);
}

static void defaults(void **state)
{
	struct configuration configuration;

	(void)state;
	assert_int_equal(parse(&configuration, "{}", NULL), 0);
	configuration_complete(&configuration);
	assert_string_equal(configuration.control_path, CONTROL_DEFAULT_PATH);
	assert_string_equal(configuration.sockets_directory, CONTROL_DEFAULT_DIRECTORY);
	assert_int_equal(configuration.control_access.mode, 0660);
	assert_int_equal(configuration.sockets_access.mode, 0660);
	assert_string_equal(configuration.netmap.path, CONTROL_DEFAULT_DIRECTORY "/netmap.sock");
	assert_int_equal(configuration.netmap.access.uid, geteuid());
	assert_int_equal(configuration.netmap.access.gid, getegid());
	assert_int_equal(configuration.netmap.access.mode, 0660);
	assert_int_equal(configuration.netmap.made_mode, 0600);
	assert_false(configuration.netmap.global_region);
	assert_int_equal(configuration.engine.workers, 0);
	assert_false(configuration.engine.pin);
	assert_int_equal(configuration.log_level, LOG_LEVEL_INFO);
	assert_int_equal(configuration.num_ports, 0);
	configuration_fini(&configuration);
}

static void sockets_are_beside_the_control_socket(void **state)
{
	static const struct {
		const char *control, *directory, *netmap;
	} cases[] = {
		{"/tmp/x/control", "/tmp/x", "/tmp/x/netmap.sock"},
		{"/control", "/", "/netmap.sock"},
		{"/a/b/c/d", "/a/b/c", "/a/b/c/netmap.sock"},
	};
	struct configuration configuration;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		configuration_init(&configuration);
		strcpy(configuration.control_path, cases[i].control);
		configuration_complete(&configuration);
		assert_string_equal(configuration.sockets_directory, cases[i].directory);
		assert_string_equal(configuration.netmap.path, cases[i].netmap);
	}
}

static const char everything[] =
	"{ \"control\": {\"path\": \"/tmp/c\", \"user\": \"root\", \"group\": \"17\","
	"                \"mode\": \"0600\"},"
	"  \"sockets\": {\"directory\": \"/tmp/s\", \"group\": \"0\", \"mode\": \"666\"},"
	"  \"netmap\": {\"path\": \"/tmp/n\", \"group\": \"5\", \"mode\": \"0666\","
	"              \"made_mode\": \"0640\", \"global_region\": true},"
	"  \"engine\": {\"workers\": 3, \"look_max_us\": 0, \"pin\": true},"
	"  \"log\": {\"level\": \"debug\"},"
	"  \"regions\": [{\"name\": \"pool\", \"if_num\": 3, \"if_size\": 2048, \"ring_num\": 8,"
	"                 \"ring_size\": 65792, \"buf_num\": 1000000, \"buf_size\": 65536,"
	"                 \"csb_num\": 0, \"hugepages\": true, \"socket_mode\": \"0644\"}],"
	"  \"switches\": [{\"name\": \"vale0\", \"ageing_s\": 7, \"mac_limit\": 9,"
	"                  \"program_user\": \"3\", \"program_mode\": \"0600\"}],"
	"  \"ports\": [{\"name\": \"vale0:a\", \"rings\": 16, \"slots\": 4096,"
	"               \"mac\": \"52:54:00:aB:cD:ff\", \"region\": \"pool\"},"
	"              {\"name\": \"vale1:b\", \"buf_size\": 4096, \"pipes\": 0,"
	"               \"hugepages\": true, \"socket_user\": \"12\", \"program_group\": \"8\"}],"
	"  \"pipes\": [{\"name\": \"vmlink{1\", \"rings\": 2}, {\"name\": \"vale1:b{x\"}] }";

static void all_is_taken(void **state)
{
	static const uint8_t mac[6] = {0x52, 0x54, 0, 0xab, 0xcd, 0xff};
	struct configuration c;
	struct error error = {0};

	(void)state;
	if (parse(&c, everything, &error) < 0)
		fail_msg("%s", error.text);
	assert_string_equal(c.control_path, "/tmp/c");
	assert_int_equal(c.control_access.uid, 0);
	assert_int_equal(c.control_access.gid, 17);
	assert_int_equal(c.control_access.mode, 0600);
	assert_string_equal(c.sockets_directory, "/tmp/s");
	assert_int_equal(c.sockets_access.uid, (uid_t)-1);
	assert_int_equal(c.sockets_access.gid, 0);
	assert_int_equal(c.sockets_access.mode, 0666);
	assert_int_equal(c.engine.workers, 3);
	assert_int_equal(c.engine.look_max_us, 0);
	assert_true(c.engine.pin);
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);

	assert_int_equal(c.num_regions, 1);
	assert_string_equal(c.regions[0].name, "pool");
	assert_int_equal(c.regions[0].config.if_num, 3);
	assert_int_equal(c.regions[0].config.if_size, 2048);
	assert_int_equal(c.regions[0].config.ring_num, 8);
	assert_int_equal(c.regions[0].config.ring_size, 65792);
	assert_int_equal(c.regions[0].config.buf_num, 1000000);
	assert_int_equal(c.regions[0].config.buf_size, 65536);
	assert_int_equal(c.regions[0].config.csb_num, 0);
	assert_true(c.regions[0].config.hugepages);
	assert_int_equal(c.regions[0].access.mode, 0644);

	assert_int_equal(c.num_switches, 1);
	assert_string_equal(c.switches[0].config.name, "vale0");
	assert_int_equal(c.switches[0].config.ageing_s, 7);
	assert_int_equal(c.switches[0].config.mac_limit, 9);
	assert_int_equal(c.switches[0].programs.uid, 3);
	assert_int_equal(c.switches[0].programs.gid, (gid_t)-1);
	assert_int_equal(c.switches[0].programs.mode, 0600);
	assert_string_equal(c.netmap.path, "/tmp/n");
	assert_int_equal(c.netmap.access.uid, (uid_t)-1);
	assert_int_equal(c.netmap.access.gid, 5);
	assert_int_equal(c.netmap.access.mode, 0666);
	assert_int_equal(c.netmap.made_mode, 0640);
	assert_true(c.netmap.global_region);
	assert_int_equal(c.ports[1].programs.gid, 8);
	assert_int_equal(c.ports[1].programs.mode, (mode_t)-1);

	assert_int_equal(c.num_ports, 2);
	assert_string_equal(c.ports[0].config.name, "vale0:a");
	assert_int_equal(c.ports[0].config.tx_rings, 16);
	assert_int_equal(c.ports[0].config.tx_slots, 4096);
	assert_memory_equal(c.ports[0].config.mac, mac, 6);
	assert_string_equal(c.ports[0].region, "pool");
	assert_string_equal(c.ports[1].region, "");
	assert_int_equal(c.ports[1].config.tx_rings, 1);
	assert_int_equal(c.ports[1].config.tx_slots, PORT_DEFAULT_SLOTS);
	assert_int_equal(c.ports[1].own.buf_size, 4096);
	assert_int_equal(c.ports[1].pipes, 0);
	assert_true(c.ports[1].own.hugepages);
	assert_int_equal(c.ports[1].access.uid, 12);
	assert_int_equal(c.ports[1].access.gid, (gid_t)-1);

	assert_int_equal(c.num_pipes, 2);
	assert_string_equal(c.pipes[0].config.name, "vmlink{1");
	assert_int_equal(c.pipes[0].config.tx_rings, 2);
	configuration_fini(&c);
}

/* What is wrong, and words that the message must hold: where, which value, which limit. */
static const struct {
	const char *text;
	const char *where;
	const char *what;
} mistakes[] = {
	{"", "is empty", "{}"},
	{"{", "line 1", ""},
	{"{} x", "line 1", "end of file expected"},
	{"{\n\"log\": {},\n\"log\": {}}", "line 3", "duplicate"},
	{"[]", "must be an object", "an array"},
	{"{\"port\": []}", "\"port\"", "known are control, sockets, netmap, engine, log"},

	{"{\"control\": []}", "control: ", "an array"},
	{"{\"control\": {\"path\": 5}}", "control.path: ", "a whole number"},
	{"{\"control\": {\"path\": \"\"}}", "control.path: ", "empty"},
	{"{\"control\": {\"path\": \"c.sock\"}}", "control.path: ", "relative"},
	{"{\"control\": {\"mode\": \"0999\"}}", "control.mode: ", "\"0999\""},
	{"{\"control\": {\"mode\": \"7777\"}}", "control.mode: ", "0777"},
	{"{\"control\": {\"mode\": 432}}", "control.mode: ", "a string"},
	{"{\"control\": {\"group\": \"no such\"}}", "control.group: ", "\"no such\""},
	{"{\"control\": {\"user\": \"-1\"}}", "control.user: ", "\"-1\""},
	{"{\"control\": {\"user\": \"4294967295\"}}", "control.user: ", "\"4294967295\""},
	{"{\"sockets\": {\"path\": \"/x\"}}", "sockets: ", "known here; known are directory"},
	{"{\"netmap\": {\"path\": \"n.sock\"}}", "netmap.path: ", "relative"},
	{"{\"netmap\": {\"made_mode\": \"8\"}}", "netmap.made_mode: ", "\"8\""},
	{"{\"netmap\": {\"global_region\": 1}}", "netmap.global_region: ", "true or false"},
	{"{\"switches\": [{\"name\": \"vale0\", \"program_mode\": \"x\"}]}",
	 "switches[0].program_mode: ", "\"x\""},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"program_group\": \"no such\"}]}",
	 "ports[0].program_group: ", "\"no such\""},
	{"{\"engine\": {\"workers\": 257}}", "engine.workers: ", "0 to 256"},
	{"{\"engine\": {\"workers\": -1}}", "engine.workers: ", "-1"},
	{"{\"engine\": {\"workers\": 1.0}}", "engine.workers: ", "fraction"},
	{"{\"engine\": {\"look_max_us\": 1001}}", "engine.look_max_us: ", "0 to 1000"},
	{"{\"engine\": {\"pin\": \"yes\"}}", "engine.pin: ", "a string"},
	{"{\"log\": {\"level\": \"verbose\"}}", "log.level: ", "debug"},

	{"{\"regions\": {}}", "regions: ", "an object"},
	{"{\"regions\": [{}]}", "regions[0].name: ", "missing"},
	{"{\"regions\": [{\"name\": \"a/b\"}]}", "regions[0].name: ", "a/b"},
	{"{\"regions\": [{\"name\": \"a\", \"buf_size\": 63}]}",
	 "regions[0].buf_size: ", "64 to 65536"},
	{"{\"regions\": [{\"name\": \"a\", \"buf_num\": 1000001}]}",
	 "regions[0].buf_num: ", "1000000"},
	{"{\"regions\": [{\"name\": \"a\", \"ring_size\": 255}]}", "regions[0].ring_size: ", "256"},
	{"{\"regions\": [{\"name\": \"a\", \"if_size\": 4097}]}", "regions[0].if_size: ", "4096"},
	{"{\"regions\": [{\"name\": \"a\", \"if_num\": 0}]}", "regions[0].if_num: ", "1 to"},
	{"{\"regions\": [{\"name\": \"a\", \"csb_num\": 4097}]}", "regions[0].csb_num: ", "4096"},
	{"{\"regions\": [{\"name\": \"a\"}, {\"name\": \"a\"}]}",
	 "regions[1].name: ", "regions[0]"},

	{"{\"switches\": [{\"name\": \"br0\"}]}", "switches[0].name: ", "\"vale\""},
	{"{\"switches\": [{\"name\": \"vale0\", \"ageing_s\": 0}]}",
	 "switches[0].ageing_s: ", "1 to"},
	{"{\"switches\": [{\"name\": \"vale0\", \"mac_limit\": 0}]}",
	 "switches[0].mac_limit: ", "1 to"},
	{"{\"switches\": [{\"name\": \"vale0\"}, {\"name\": \"vale0\"}]}",
	 "switches[1].name: ", "switches[0]"},

	{"{\"ports\": [7]}", "ports[0]: ", "a whole number"},
	{"{\"ports\": [{\"name\": \"vale0:a\"}, {\"name\": \"vale0\"}]}",
	 "ports[1].name: ", "valeX:NAME"},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"rings\": 17}]}", "ports[0].rings: ", "1 to 16"},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"slots\": 4097}]}", "ports[0].slots: 4097",
	 "64 to 4096"},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"slots\": \"1024\"}]}",
	 "ports[0].slots: ", "a string"},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"slot\": 1024}]}", "ports[0]: ", "\"slot\""},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"mac\": \"52:54:00:12:34\"}]}",
	 "ports[0].mac: ", "hexadecimal"},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"mac\": \"52:54:00:12:34:5g\"}]}",
	 "ports[0].mac: ", "hexadecimal"},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"mac\": \"52-54-00-12-34-56\"}]}",
	 "ports[0].mac: ", "hexadecimal"},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"mac\": \"53:54:00:12:34:56\"}]}",
	 "ports[0].mac: ", "multicast"},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"mac\": \"00:00:00:00:00:00\"}]}",
	 "ports[0].mac: ", "zero"},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"region\": \"r\"}]}", "ports[0].region: ", "\"r\""},
	{"{\"regions\": [{\"name\": \"r\"}],"
	 " \"ports\": [{\"name\": \"vale0:a\", \"region\": \"r\", \"pipes\": 1}]}",
	 "ports[0].pipes: ", "\"r\""},
	{"{\"ports\": [{\"name\": \"vale0:a\", \"pipes\": 65}]}", "ports[0].pipes: ", "0 to 64"},
	{"{\"ports\": [{\"name\": \"vale0:a\"}, {\"name\": \"vale0:b\"}, {\"name\": \"vale0:a\"}]}",
	 "ports[2].name: ", "ports[0]"},

	{"{\"pipes\": [{\"name\": \"vmlink}1\"}]}", "pipes[0].name: ", "PARENT{ID"},
	{"{\"pipes\": [{\"name\": \"vale0:a{1\"}]}", "pipes[0].name: ", "\"vale0:a\""},
	{"{\"pipes\": [{\"name\": \"a{1\"}, {\"name\": \"a{1\"}]}", "pipes[1].name: ", "pipes[0]"},
	{"{\"pipes\": [{\"name\": \"a{1\", \"region\": \"r\"}]}", "pipes[0].region: ", "\"r\""},
};

static void each_mistake_is_named(void **state)
{
	struct configuration configuration;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		error = (struct error){0};
		if (parse(&configuration, mistakes[i].text, &error) != -EINVAL)
			fail_msg("accepted: %s", mistakes[i].text);
		if (strstr(error.text, mistakes[i].where) == NULL ||
		    strstr(error.text, mistakes[i].what) == NULL)
			fail_msg("%s\nsays: %s", mistakes[i].text, error.text);
		assert_null(strchr(error.text, '\n'));
		assert_null(configuration.ports);
		assert_null(configuration.regions);
	}
}

/* A file with @text, its name in @path. */
static void file_make(char path[32], const char *text)
{
	strcpy(path, "/tmp/ptnetd-config-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void errors_name_the_file(void **state)
{
	struct configuration configuration;
	struct error error;
	char path[32];

	(void)state;
	file_make(path, "{\"engine\": {\"workers\": 1000}}");
	configuration_init(&configuration);
	assert_int_equal(configuration_load(&configuration, path, &error), -EINVAL);
	assert_memory_equal(error.text, path, strlen(path));
	assert_non_null(strstr(error.text, ": engine.workers: 1000"));
	unlink(path);
}

static void a_file_is_loaded(void **state)
{
	struct configuration configuration;
	char path[32];

	(void)state;
	file_make(path, everything);
	configuration_init(&configuration);
	assert_int_equal(configuration_load(&configuration, path, NULL), 0);
	assert_int_equal(configuration.num_ports, 2);
	configuration_fini(&configuration);
	unlink(path);
}

static void files_that_are_none(void **state)
{
	struct configuration configuration;
	struct error error;
	char path[32];

	(void)state;
	configuration_init(&configuration);
	assert_int_equal(configuration_load(&configuration, "/nowhere/x.json", &error), -ENOENT);
	assert_non_null(strstr(error.text, "/nowhere/x.json: "));
	assert_int_equal(configuration_load(&configuration, "/tmp", &error), -EINVAL);
	assert_int_equal(configuration_load(&configuration, "/dev/zero", &error), -EINVAL);
	file_make(path, "");
	assert_int_equal(truncate(path, CONFIGURATION_MAX_FILE + 1), 0);
	assert_int_equal(configuration_load(&configuration, path, &error), -EFBIG);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(sockets_are_beside_the_control_socket),
		cmocka_unit_test(all_is_taken),
		cmocka_unit_test(each_mistake_is_named),
		cmocka_unit_test(errors_name_the_file),
		cmocka_unit_test(a_file_is_loaded),
		cmocka_unit_test(files_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
