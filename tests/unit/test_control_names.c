/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of switches, ports, pipes and regions, and the socket files made of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/names.h"

#define FIFTEEN "abcdefghijklmno"
#define SIXTEEN FIFTEEN "p"

static void switches(void **state)
{
	static const char *const good[] = {"vale", "vale0", "vale_A1", "vale0123456789A"};
	static const char *const bad[] = {"",	    "val",	    "Vale0",
					  "vale0:", "vale-0",	    "vale.0",
					  "vale 0", "vale\xc3\xa4", "vale0123456789AB"};
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(name_check_switch(good[i], &error), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error.text[0] = '\0';
		assert_int_equal(name_check_switch(bad[i], &error), -EINVAL);
		assert_non_null(strstr(error.text, bad[i]));
	}
	assert_int_equal(name_check_switch("vale/", NULL), -EINVAL);
}

static void regions(void **state)
{
	static const char *const good[] = {"a", "pool", "pool_1.x", FIFTEEN SIXTEEN};
	static const char *const bad[] = {"",	 ".x",	  "../x", "a/b",  "a:b",	  "a-b",
					  "a{b", "vale0", "a b",  "a\nb", SIXTEEN SIXTEEN};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(name_check_region(good[i], NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(name_check_region(bad[i], NULL), -EINVAL);
}

static void vale_ports(void **state)
{
	static const char *const bad[] = {
		"",	     "vale0",	  "vale0:",    "eth0",		 "x:y",
		"vale0:a:b", "vale0:a-1", "vale0:a{1", "vale0:a/x",	 "vale0:.",
		"vale0:..",  "vale-:a",	  "vale0:a b", "vale0:" SIXTEEN, "vale" FIFTEEN ":a"};
	char switch_name[VALE_NAME_SIZE];

	(void)state;
	assert_int_equal(name_check_vale_port("vale0:vm1", switch_name, NULL), 0);
	assert_string_equal(switch_name, "vale0");
	assert_int_equal(name_check_vale_port("vale:1", switch_name, NULL), 0);
	assert_string_equal(switch_name, "vale");
	assert_int_equal(name_check_vale_port("vale0:" FIFTEEN, switch_name, NULL), 0);
	assert_int_equal(name_check_vale_port("vale0:eth0.100", switch_name, NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(name_check_vale_port(bad[i], switch_name, NULL), -EINVAL);
}

static void pipes(void **state)
{
	static const char *const bad[] = {"",	       "vmlink",   "vmlink{",	"{1",
					  "mem{1",     "vale0{1",  "vmlink{-1", "vmlink{a b",
					  "a/b{1",     "vale0:{1", "a{1{2",	"vmlink{" SIXTEEN,
					  SIXTEEN "{1"};
	char parent[PORT_NAME_SIZE];

	(void)state;
	assert_int_equal(name_check_pipe("vmlink{1", false, parent, NULL), 0);
	assert_string_equal(parent, "vmlink");
	assert_int_equal(name_check_pipe("vale0:vm1{in", false, parent, NULL), 0);
	assert_string_equal(parent, "vale0:vm1");
	assert_int_equal(name_check_pipe("vmlink}1", false, parent, NULL), -EINVAL);
	assert_int_equal(name_check_pipe("vmlink}1", true, parent, NULL), 0);
	assert_string_equal(parent, "vmlink");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(name_check_pipe(bad[i], false, parent, NULL), -EINVAL);
	/* A name that is all parent must not run over the buffer. */
	char endless[200];

	memset(endless, 'x', sizeof(endless));
	strcpy(endless + sizeof(endless) - 3, "{1");
	assert_int_equal(name_check_pipe(endless, false, parent, NULL), -EINVAL);
}

static void socket_files(void **state)
{
	char path[SOCKET_PATH_SIZE];

	(void)state;
	assert_int_equal(name_port_socket(path, "/run/a:b", "vale0:vm1", NULL), 0);
	assert_string_equal(path, "/run/a:b/vale0-vm1.sock"); /* the directory is left alone */
	assert_int_equal(name_port_socket(path, "/run", "vmlink{1", NULL), 0);
	assert_string_equal(path, "/run/vmlink-1-master.sock");
	assert_int_equal(name_port_socket(path, "/run", "vmlink}1", NULL), 0);
	assert_string_equal(path, "/run/vmlink-1-slave.sock");
	assert_int_equal(name_port_socket(path, "/run", "vale0:vm1}1", NULL), 0);
	assert_string_equal(path, "/run/vale0-vm1-1-slave.sock");
	assert_int_equal(name_region_socket(path, "/run", "pool", NULL), 0);
	assert_string_equal(path, "/run/mem-pool.sock");
	assert_int_equal(name_region_socket(path, "/run", "vale0:vm1", NULL), 0);
	assert_string_equal(path, "/run/mem-vale0-vm1.sock");
}

/* 107 bytes are what a socket address holds besides the NUL. */
static void socket_path_limit(void **state)
{
	char directory[SOCKET_PATH_SIZE + 10];
	char path[SOCKET_PATH_SIZE];
	const size_t rest = strlen("/vale0-a.sock");
	struct error error;

	(void)state;
	memset(directory, 'd', sizeof(directory));
	directory[107 - rest] = '\0';
	assert_int_equal(name_port_socket(path, directory, "vale0:a", &error), 0);
	assert_int_equal(strlen(path), 107);
	directory[107 - rest] = 'd';
	directory[108 - rest] = '\0';
	assert_int_equal(name_port_socket(path, directory, "vale0:a", &error), -ENAMETOOLONG);
	assert_non_null(strstr(error.text, "108 bytes"));
	assert_non_null(strstr(error.text, "107"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switches),	cmocka_unit_test(regions),
		cmocka_unit_test(vale_ports),	cmocka_unit_test(pipes),
		cmocka_unit_test(socket_files), cmocka_unit_test(socket_path_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
