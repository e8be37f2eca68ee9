/* SPDX-License-Identifier: BSD-2-Clause */
/* The walk over a request's options: spec/netmap-api.md section 5.4. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "options.h"

#define NO_TYPE	  1234u
#define BODY_SIZE sizeof(struct nmreq_register)

static struct option_list list;

static void set(struct nmreq_option *option, uint32_t type, const void *next)
{
	memset(option, 0, sizeof(*option));
	option->nro_reqtype = type;
	option->nro_next = (uintptr_t)next;
	option->nro_status = 77;
}

static int walk(const void *first)
{
	return options_read(&list, (uintptr_t)first, BODY_SIZE);
}

static void test_none(void **state)
{
	(void)state;
	assert_int_equal(walk(NULL), 0);
	assert_int_equal(list.count, 0);
	assert_false(options_left(&list));
	assert_int_equal(options_write(&list, true), 0);
}

static void test_unknown(void **state)
{
	struct nmreq_option option;

	(void)state;
	set(&option, NO_TYPE, NULL);
	assert_int_equal(walk(&option), 0);
	assert_true(options_left(&list));
	assert_int_equal(options_write(&list, false), 0);
	assert_int_equal(option.nro_status, EOPNOTSUPP);
	assert_int_equal(option.nro_reqtype, NO_TYPE);
	assert_int_equal(option.nro_next, 0);
}

static void test_known(void **state)
{
	struct nmreq_opt_offsets offsets;
	struct nmreq_opt_csb csb;

	(void)state;
	memset(&offsets, 0, sizeof(offsets));
	memset(&csb, 0, sizeof(csb));
	set(&offsets.nro_opt, NETMAP_REQ_OPT_OFFSETS, &csb);
	set(&csb.nro_opt, NETMAP_REQ_OPT_CSB, NULL);
	offsets.nro_max_offset = 100;
	csb.csb_atok = 0x1000;
	assert_int_equal(walk(&offsets), 0);
	assert_true(option_present(&list, NETMAP_REQ_OPT_OFFSETS));
	assert_true(option_present(&list, NETMAP_REQ_OPT_CSB));
	assert_false(option_present(&list, NETMAP_REQ_OPT_EXTMEM));
	assert_int_equal(list.offsets.nro_max_offset, 100);
	assert_int_equal(list.csb.csb_atok, 0x1000);

	/* A body is written back only with status 0 and after success. */
	list.offsets.nro_max_offset = 50;
	list.csb.csb_atok = 0x2000;
	option_set_status(&list, NETMAP_REQ_OPT_OFFSETS, 0);
	option_set_status(&list, NETMAP_REQ_OPT_CSB, EINVAL);
	assert_int_equal(options_write(&list, false), 0);
	assert_int_equal(offsets.nro_max_offset, 100);
	assert_int_equal(offsets.nro_opt.nro_status, 0);
	assert_int_equal(csb.nro_opt.nro_status, EINVAL);
	assert_int_equal(options_write(&list, true), 0);
	assert_int_equal(offsets.nro_max_offset, 50);
	assert_int_equal(csb.csb_atok, 0x1000);
	assert_int_equal(offsets.nro_opt.nro_next, (uintptr_t)&csb);
}

static void test_no_type(void **state)
{
	struct nmreq_option first, second;

	(void)state;
	set(&first, NO_TYPE, &second);
	set(&second, 0, NULL);
	assert_int_equal(walk(&first), -EINVAL);
	assert_int_equal(options_write(&list, false), 0);
	assert_int_equal(second.nro_status, EINVAL);
	assert_int_equal(first.nro_status, 77);
}

static void test_twice(void **state)
{
	struct nmreq_opt_extmem first, second;

	(void)state;
	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	set(&first.nro_opt, NETMAP_REQ_OPT_EXTMEM, &second);
	set(&second.nro_opt, NETMAP_REQ_OPT_EXTMEM, NULL);
	assert_int_equal(walk(&first), -EINVAL);
	assert_int_equal(options_write(&list, false), 0);
	assert_int_equal(first.nro_opt.nro_status, EINVAL);
	assert_int_equal(second.nro_opt.nro_status, EINVAL);
}

static void test_endless(void **state)
{
	struct nmreq_opt_offsets known;
	struct nmreq_option unknown;

	(void)state;
	set(&unknown, NO_TYPE, &unknown);
	assert_int_equal(walk(&unknown), -EMSGSIZE);
	assert_int_equal(options_write(&list, false), 0);
	assert_int_equal(unknown.nro_status, 77); /* nothing is written */

	memset(&known, 0, sizeof(known));
	set(&known.nro_opt, NETMAP_REQ_OPT_OFFSETS, &known);
	assert_int_equal(walk(&known), -EINVAL);
}

/* Large enough for what nro_size says. */
union eventfds {
	struct nmreq_option head;
	struct {
		struct nmreq_option head;
		struct {
			int32_t ioeventfd, irqfd;
		} eventfds[];
	} option;
	char bytes[NETMAP_REQ_MAXSIZE + 64];
};

static void test_eventfds(void **state)
{
	static union eventfds option;

	(void)state;
	memset(&option, 0, sizeof(option));
	set(&option.head, NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS, NULL);
	option.head.nro_size = sizeof(option.head) + 2 * 8;
	option.option.eventfds[1].ioeventfd = 5;
	option.option.eventfds[1].irqfd = -1;
	assert_int_equal(walk(&option), 0);
	assert_int_equal(list.num_eventfds, 2);
	assert_int_equal(list.eventfds[1].ioeventfd, 5);
	assert_int_equal(list.eventfds[1].irqfd, -1);

	option.head.nro_size = NETMAP_REQ_MAXSIZE + 1;
	assert_int_equal(walk(&option), -EMSGSIZE);
	option.head.nro_size = NETMAP_REQ_MAXSIZE - BODY_SIZE + 8;
	assert_int_equal(walk(&option), -EMSGSIZE);
	option.head.nro_size = 0;
	assert_int_equal(walk(&option), 0);
	assert_int_equal(list.num_eventfds, 0);
}

static void test_too_many(void **state)
{
	static struct nmreq_option options[99];
	static union eventfds last;
	unsigned i;

	(void)state;
	for (i = 0; i < 99; i++)
		set(&options[i], NO_TYPE, i + 1 < 99 ? (void *)&options[i + 1] : (void *)&last);
	memset(&last, 0, sizeof(last));
	set(&last.head, NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS, NULL);
	last.head.nro_size = 1000;
	assert_int_equal(walk(options), -EMSGSIZE);
	/* Without the last they do fit. */
	options[98].nro_next = 0;
	assert_int_equal(walk(options), 0);
	assert_int_equal(list.count, 99);
}

static void test_bad_address(void **state)
{
	struct nmreq_option option;

	(void)state;
	set(&option, NO_TYPE, (void *)16);
	assert_int_equal(walk(&option), -EFAULT);
	assert_int_equal(walk((void *)16), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),	    cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_known),	    cmocka_unit_test(test_no_type),
		cmocka_unit_test(test_twice),	    cmocka_unit_test(test_endless),
		cmocka_unit_test(test_eventfds),    cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_bad_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
