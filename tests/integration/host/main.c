/* SPDX-License-Identifier: BSD-2-Clause */
/* usage: host-programs --list | TEST SUFFIX */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

void adopted(int argc, char **argv);
void until_it_fails(const char *name);

static const struct test *const groups[] = {wait_tests, epoll_tests, event_tests, descriptor_tests,
					    process_tests};

int main(int argc, char **argv)
{
	size_t i;

	if (argc > 1 && strcmp(argv[1], "--adopted") == 0)
		adopted(argc, argv);
	if (argc == 3 && strcmp(argv[1], "--until-it-fails") == 0)
		until_it_fails(argv[2]);
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		const struct test *test;

		for (test = groups[i]; test->name != NULL; test++) {
			if (argc == 2 && strcmp(argv[1], "--list") == 0) {
				puts(test->name);
			} else if (argc == 3 && strcmp(argv[1], test->name) == 0) {
				snprintf(name_suffix, sizeof(name_suffix), "%s", argv[2]);
				test->run();
				return EXIT_SUCCESS;
			}
		}
	}
	return argc == 2 ? EXIT_SUCCESS : 2;
}
