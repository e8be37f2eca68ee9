/* SPDX-License-Identifier: BSD-2-Clause */
/* How long a program's thread looks before it sleeps. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "looking.h"

#define ENOUGH 64 /* looks in vain, after which the longest time is down to nothing */

/* Looks for nothing until the time is over. Returns how long, in ns; 0: not at all. */
static uint64_t look_in_vain(void)
{
	struct looking looking = {0};
	uint64_t began = clock_ns();
	bool looked = false;

	while (looking_goes_on(&looking))
		looked = true;
	return looked ? clock_ns() - began : 0;
}

/* Each test begins with a thread that has never slept. */
static void in_a_new_thread(void *(*test)(void *))
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, test, NULL), 0);
	pthread_join(thread, NULL);
}

static void *sleep_long(void *unused)
{
	looking_set_max(100);
	assert_int_equal(look_in_vain(), 0); /* nothing is known yet */
	for (int i = 0; i < 10; i++)
		looking_slept(100000);
	assert_int_equal(look_in_vain(), 0);
	return unused;
}

static void who_sleeps_long_does_not_look(void **state)
{
	(void)state;
	in_a_new_thread(sleep_long);
}

static void *sleep_shortly(void *unused)
{
	looking_set_max(100);
	looking_slept(99999);
	assert_true(look_in_vain() >= 2000);
	for (int i = 0; i < 10; i++)
		looking_slept(1);
	assert_true(look_in_vain() >= 100000);
	return unused;
}

static void who_is_woken_soon_looks(void **state)
{
	(void)state;
	in_a_new_thread(sleep_shortly);
}

static void *wait_for_nothing(void *unused)
{
	unsigned looks = 0;

	looking_set_max(1000);
	for (int i = 0; i < 20; i++)
		looking_slept(1);
	while (look_in_vain() != 0 && looks < ENOUGH)
		looks++;
	assert_in_range(looks, 10, ENOUGH - 1);
	assert_int_equal(look_in_vain(), 0);
	return unused;
}

static void looking_in_vain_ends(void **state)
{
	(void)state;
	in_a_new_thread(wait_for_nothing);
}

static void *find_something(void *unused)
{
	looking_set_max(1000);
	for (int i = 0; i < 20; i++)
		looking_slept(1);
	for (int i = 0; i < 2 * ENOUGH; i++) {
		struct looking looking = {0};

		assert_true(looking_goes_on(&looking)); /* and finds it */
	}
	return unused;
}

static void looking_that_pays_goes_on(void **state)
{
	(void)state;
	in_a_new_thread(find_something);
}

static void *obey(void *unused)
{
	looking_set_max(1000);
	for (int i = 0; i < 20; i++)
		looking_slept(1);
	looking_set_max(0);
	assert_int_equal(look_in_vain(), 0);
	looking_slept(1);
	assert_int_equal(look_in_vain(), 0);
	/* A daemon that allows more than any configuration can say. */
	looking_set_max(UINT32_MAX);
	for (int i = 0; i < 64; i++)
		looking_slept(1);
	looking_slept(1000000); /* is too long even so */
	assert_true(look_in_vain() >= 1000000);
	return unused;
}

static void the_daemon_sets_the_bound(void **state)
{
	(void)state;
	in_a_new_thread(obey);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_sleeps_long_does_not_look),
		cmocka_unit_test(who_is_woken_soon_looks),
		cmocka_unit_test(looking_in_vain_ends),
		cmocka_unit_test(looking_that_pays_goes_on),
		cmocka_unit_test(the_daemon_sets_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
