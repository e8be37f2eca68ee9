/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kring: which head and cur are accepted, that each word of the other side is
 * read once, what a fault does, when the owner is interrupted, and the arithmetic.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "captured_stderr.h"
#include "guest_fixture.h"
#include "watched_memory.h"

/* A kring alone: no port, a CSB entry in a page of its own per direction. */
struct alone {
	struct kring kring;
	struct log_limit limit;
	struct nm_csb_atok *atok;
	struct nm_csb_ktoa *ktoa;
};

static void alone_create(struct alone *alone, enum kring_dir dir, uint32_t num_slots,
			 bool extension)
{
	memset(alone, 0, sizeof(*alone));
	alone->atok = mmap(NULL, 2 * WATCHED_PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(alone->atok, MAP_FAILED);
	alone->ktoa = (struct nm_csb_ktoa *)((char *)alone->atok + WATCHED_PAGE);
	alone->kring = (struct kring){
		.port_name = "vm1",
		.log_limit = &alone->limit,
		.num_slots = num_slots,
		.buf_size = 2048,
		.buf_total = 100,
		.dir = (uint8_t)dir,
		.hwtail = dir == KRING_TX ? num_slots - 1 : 0,
		.interrupt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};
	kring_start(&alone->kring, alone->atok, alone->ktoa, extension);
}

static void alone_destroy(struct alone *alone)
{
	munmap(alone->atok, 2 * WATCHED_PAGE);
	close(alone->kring.interrupt_fd);
}

static uint32_t ring_fault_of(const struct alone *alone)
{
	return ((const struct ptnet_csb_ktoa *)alone->ktoa)->ring_fault;
}

static uint64_t interrupts_of(const struct alone *alone)
{
	uint64_t count = 0;

	return read(alone->kring.interrupt_fd, &count, sizeof(count)) > 0 ? count : 0;
}

static uint64_t counted(const struct alone *alone, enum ring_counter which)
{
	return ring_counter_get(&alone->kring.counters, which);
}

/* ---- arithmetic ---- */

static void positions_wrap(void **state)
{
	static const uint32_t sizes[] = {2, 3, 64, 1000, 1024, 4096};

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		uint32_t n = sizes[s];

		for (uint32_t from = 0; from < n; from += 1 + n / 50) {
			uint32_t to = from;

			for (uint32_t steps = 0; steps < n; steps++) {
				assert_int_equal(ring_distance(n, from, to), steps);
				assert_int_equal(ring_advance(n, from, steps), to);
				assert_int_equal(ring_prev(n, ring_next(n, to)), to);
				to = to == n - 1 ? 0 : to + 1;
				assert_int_equal(ring_next(n, to == 0 ? n - 1 : to - 1), to);
			}
			assert_int_equal(ring_advance(n, from, n), from);
		}
	}
}

/* ---- pull ---- */

#define SMALL 5u

/* Is @to met when walking from @from no further than @last? */
static bool between(uint32_t from, uint32_t to, uint32_t last)
{
	for (uint32_t at = from;; at = (at + 1) % SMALL) {
		if (at == to)
			return true;
		if (at == last)
			return false;
	}
}

static void check_pull(struct alone *alone, uint32_t hwcur, uint32_t hwtail, uint32_t head,
		       uint32_t cur)
{
	struct kring *kring = &alone->kring;
	bool good_head = between(hwcur, head, hwtail);
	bool good_cur = good_head && between(head, cur, hwtail);
	uint64_t faults = counted(alone, RING_FAULTS);

	kring->hwcur = kring->head = kring->cur = hwcur;
	kring->hwtail = hwtail;
	kring_start(kring, alone->atok, alone->ktoa, true);
	alone->atok->head = head;
	alone->atok->cur = cur;
	assert_int_equal(kring_peek_head(kring), head);
	interrupts_of(alone);
	assert_int_equal(kring_pull(kring), good_cur);
	if (good_cur) {
		assert_int_equal(kring->state, KRING_RUNNING);
		assert_int_equal(kring->head, head);
		assert_int_equal(kring->cur, cur);
		assert_int_equal(ring_fault_of(alone), PTNET_FAULT_NONE);
		assert_int_equal(counted(alone, RING_FAULTS), faults);
	} else {
		assert_int_equal(kring->state, KRING_FAULTED);
		assert_int_equal(kring->head, hwcur);
		assert_int_equal(kring->cur, hwcur);
		assert_int_equal(kring->fault, good_head ? PTNET_FAULT_CUR : PTNET_FAULT_HEAD);
		assert_int_equal(ring_fault_of(alone), kring->fault);
		assert_int_equal(counted(alone, RING_FAULTS), faults + 1);
		assert_int_equal(interrupts_of(alone), 1);
	}
	assert_int_equal(kring->hwcur, hwcur);
	assert_int_equal(kring->hwtail, hwtail);
}

static void exactly_the_positions_in_order_are_accepted(void **state)
{
	static const uint32_t values[] = {0,
					  1,
					  2,
					  3,
					  4,
					  SMALL,
					  SMALL + 1,
					  2 * SMALL,
					  0x7fffffff,
					  0x80000000,
					  UINT32_MAX,
					  UINT32_MAX - 1,
					  UINT32_MAX - SMALL};
	const size_t count = sizeof(values) / sizeof(values[0]);
	struct captured_stderr capture;
	static char text[65536];
	struct alone alone;

	(void)state;
	alone_create(&alone, KRING_RX, SMALL, true);
	capture_stderr(&capture);
	for (uint32_t hwcur = 0; hwcur < SMALL; hwcur++)
		for (uint32_t hwtail = 0; hwtail < SMALL; hwtail++)
			for (size_t head = 0; head < count; head++)
				for (size_t cur = 0; cur < count; cur++)
					check_pull(&alone, hwcur, hwtail, values[head],
						   values[cur]);
	release_stderr(&capture, text, sizeof(text));
	/* More than a thousand faults of one guest, but the log does not flow. */
	assert_true(counted(&alone, RING_FAULTS) > 1000);
	assert_int_equal(count_lines(text), 10);
	alone_destroy(&alone);
}

static void a_stopped_or_faulted_ring_is_not_read(void **state)
{
	struct captured_stderr capture;
	struct alone alone;
	char text[1000];

	(void)state;
	alone_create(&alone, KRING_TX, 64, true);
	capture_stderr(&capture);
	alone.atok->head = 64;
	assert_false(kring_pull(&alone.kring));
	release_stderr(&capture, text, sizeof(text));
	alone.atok->head = alone.atok->cur = 1; /* mended too late: only a new start helps */
	assert_false(kring_pull(&alone.kring));
	assert_int_equal(counted(&alone, RING_FAULTS), 1);
	kring_stop(&alone.kring);
	munmap(alone.atok, 2 * WATCHED_PAGE); /* nobody may touch it any more */
	assert_false(kring_pull(&alone.kring));
	assert_int_equal(alone.kring.state, KRING_STOPPED);
	close(alone.kring.interrupt_fd);
}

#ifdef WATCHED_MEMORY
static void head_and_cur_are_read_once(void **state)
{
	struct alone alone;

	(void)state;
	alone_create(&alone, KRING_TX, 64, true);
	for (uint32_t head = 0; head < 63; head += 31) {
		alone.atok->head = head;
		alone.atok->cur = head + 1;
		watch_memory(alone.atok);
		bool good = kring_pull(&alone.kring);
		unwatch_memory();
		assert_true(good);
		assert_int_equal(reads_of(&alone.atok->head), 1);
		assert_int_equal(reads_of(&alone.atok->cur), 1);
		assert_int_equal(writes_of(&alone.atok->head), 0);
		assert_int_equal(writes_of(&alone.atok->cur), 0);
	}
	/* A bad one, too: what is logged is what was checked. */
	struct captured_stderr capture;
	char text[1000];

	capture_stderr(&capture);
	alone.atok->head = 4000000099;
	watch_memory(alone.atok);
	bool good = kring_pull(&alone.kring);
	unwatch_memory();
	release_stderr(&capture, text, sizeof(text));
	assert_false(good);
	assert_int_equal(reads_of(&alone.atok->head), 1);
	assert_int_equal(reads_of(&alone.atok->cur), 1);
	assert_non_null(strstr(text, "bad_head 4000000099"));
	alone_destroy(&alone);
}

/* What the daemon publishes it knows without asking: the other side may scribble there. */
static void what_was_published_is_never_read_back(void **state)
{
	struct alone alone;

	(void)state;
	alone_create(&alone, KRING_RX, 64, true);
	watch_memory(alone.ktoa);
	alone.kring.hwtail = 10;
	kring_push(&alone.kring);
	kring_set_need_kick(&alone.kring, true);
	bool good = kring_pull(&alone.kring);
	unwatch_memory();
	assert_true(good);
	for (unsigned word = 0; word < sizeof(*alone.ktoa) / 4; word++)
		assert_int_equal(reads_of((uint32_t *)alone.ktoa + word), 0);
	assert_int_equal(writes_of(&alone.ktoa->hwcur), 1);
	assert_int_equal(writes_of(&alone.ktoa->hwtail), 1);
	assert_int_equal(writes_of(&alone.ktoa->kern_need_kick), 1);
	alone_destroy(&alone);
}

static void a_slot_is_read_once(void **state)
{
	struct netmap_slot *slots = mmap(NULL, WATCHED_PAGE, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kring kring = {.slots = slots};

	(void)state;
	slots[3] = (struct netmap_slot){.buf_idx = 17, .len = 60, .flags = 5, .ptr = 99};
	watch_memory(slots);
	struct netmap_slot slot = kring_load_slot(&kring, 3);
	unwatch_memory();
	assert_int_equal(slot.buf_idx, 17);
	assert_int_equal(slot.len, 60);
	assert_int_equal(slot.flags, 5);
	assert_int_equal(slot.ptr, 99);
	assert_int_equal(reads_of(&slots[3].buf_idx), 1);
	assert_int_equal(reads_of(&slots[3].len), 0); /* comes with buf_idx */
	assert_int_equal(reads_of(&slots[3].ptr), 1);
	munmap(slots, WATCHED_PAGE);
}
#endif

/* ---- slots ---- */

static void slots_are_checked_against_the_pool(void **state)
{
	struct kring kring = {.buf_total = 100, .buf_size = 2048};
	struct kring big = {.buf_total = 100, .buf_size = 65536};

	(void)state;
	assert_false(kring_slot_valid(&kring, (struct netmap_slot){.buf_idx = 0, .len = 60}));
	assert_false(kring_slot_valid(&kring, (struct netmap_slot){.buf_idx = 1, .len = 60}));
	assert_true(kring_slot_valid(&kring, (struct netmap_slot){.buf_idx = 2, .len = 0}));
	assert_true(kring_slot_valid(&kring, (struct netmap_slot){.buf_idx = 99, .len = 2048}));
	assert_false(kring_slot_valid(&kring, (struct netmap_slot){.buf_idx = 99, .len = 2049}));
	assert_false(kring_slot_valid(&kring, (struct netmap_slot){.buf_idx = 100, .len = 60}));
	assert_false(kring_slot_valid(&kring, (struct netmap_slot){.buf_idx = UINT32_MAX}));
	assert_true(kring_slot_valid(&big, (struct netmap_slot){.buf_idx = 2, .len = 65535}));
}

/* ---- faults ---- */

static void a_fault_tells_log_owner_and_counter(void **state)
{
	struct captured_stderr capture;
	struct alone alone;
	char text[1000];

	(void)state;
	alone_create(&alone, KRING_RX, 64, true);
	alone.kring.index = 3;
	alone.atok->appl_need_kick = 0; /* the owner is told whether it asked or not */
	capture_stderr(&capture);
	kring_fault(&alone.kring, PTNET_FAULT_BUF_IDX, 4711);
	release_stderr(&capture, text, sizeof(text));
	assert_int_equal(alone.kring.state, KRING_FAULTED);
	assert_int_equal(ring_fault_of(&alone), PTNET_FAULT_BUF_IDX);
	assert_int_equal(counted(&alone, RING_FAULTS), 1);
	assert_int_equal(interrupts_of(&alone), 1);
	assert_non_null(strstr(text, "port vm1: RX ring 3"));
	assert_non_null(strstr(text, "bad_buffer_index 4711"));
	assert_non_null(strstr(text, "100 buffers"));
	assert_int_equal(count_lines(text), 1);

	/* A new start clears it. */
	kring_stop(&alone.kring);
	kring_start(&alone.kring, alone.atok, alone.ktoa, true);
	assert_int_equal(alone.kring.state, KRING_RUNNING);
	assert_int_equal(alone.kring.fault, PTNET_FAULT_NONE);
	assert_int_equal(ring_fault_of(&alone), PTNET_FAULT_NONE);
	assert_true(kring_pull(&alone.kring));
	alone_destroy(&alone);
}

/* netmap's own drivers know three words; the rest of the entry is theirs. */
static void old_drivers_see_no_fault_word(void **state)
{
	struct captured_stderr capture;
	struct alone alone;
	char text[1000];

	(void)state;
	alone_create(&alone, KRING_TX, 64, false);
	memset(alone.ktoa->pad, 0x5a, sizeof(alone.ktoa->pad));
	capture_stderr(&capture);
	kring_fault(&alone.kring, PTNET_FAULT_HEAD, 99);
	release_stderr(&capture, text, sizeof(text));
	kring_stop(&alone.kring);
	kring_start(&alone.kring, alone.atok, alone.ktoa, false);
	for (size_t i = 0; i < sizeof(alone.ktoa->pad); i++)
		assert_int_equal(((uint8_t *)alone.ktoa->pad)[i], 0x5a);
	alone_destroy(&alone);
}

static void faults_and_states_have_names(void **state)
{
	(void)state;
	for (unsigned fault = 0; fault < PTNET_FAULT_COUNT; fault++) {
		assert_non_null(kring_fault_name(fault));
		for (unsigned other = 0; other < fault; other++)
			assert_string_not_equal(kring_fault_name(fault), kring_fault_name(other));
	}
	assert_string_equal(kring_fault_name(PTNET_FAULT_COUNT), "unknown");
	assert_string_equal(kring_state_name(KRING_STOPPED), "stopped");
	assert_string_equal(kring_state_name(KRING_RUNNING), "running");
	assert_string_equal(kring_state_name(KRING_FAULTED), "faulted");
	for (unsigned counter = 0; counter < RING_COUNTER_COUNT; counter++)
		assert_non_null(ring_counter_names[counter]);
}

/* ---- push ---- */

static void push_interrupts_when_asked_and_moved(void **state)
{
	struct alone alone;

	(void)state;
	alone_create(&alone, KRING_RX, 64, true);
	/* Nothing moved. */
	kring_push(&alone.kring);
	assert_int_equal(interrupts_of(&alone), 0);
	/* hwcur alone is no reason. */
	alone.kring.hwcur = 3;
	kring_push(&alone.kring);
	assert_int_equal(alone.ktoa->hwcur, 3);
	assert_int_equal(interrupts_of(&alone), 0);
	assert_int_equal(counted(&alone, RING_INTERRUPTS_SUPPRESSED), 0);
	/* hwtail is, once. */
	alone.kring.hwtail = 5;
	kring_push(&alone.kring);
	kring_push(&alone.kring);
	assert_int_equal(alone.ktoa->hwtail, 5);
	assert_int_equal(interrupts_of(&alone), 1);
	assert_int_equal(counted(&alone, RING_INTERRUPTS_SENT), 1);
	/* Unless the owner does not want to know. */
	alone.atok->appl_need_kick = 0;
	alone.kring.hwtail = 6;
	kring_push(&alone.kring);
	assert_int_equal(alone.ktoa->hwtail, 6);
	assert_int_equal(interrupts_of(&alone), 0);
	assert_int_equal(counted(&alone, RING_INTERRUPTS_SUPPRESSED), 1);
	/* It is the owner's flag: the daemon never clears it. */
	alone.atok->appl_need_kick = 7;
	alone.kring.hwtail = 7;
	kring_push(&alone.kring);
	assert_int_equal(alone.atok->appl_need_kick, 7);
	assert_int_equal(interrupts_of(&alone), 1);
	/* The owner may scribble over its copy: that neither misleads nor is repaired for it. */
	alone.ktoa->hwtail = 60;
	kring_push(&alone.kring);
	assert_int_equal(interrupts_of(&alone), 0);
	alone_destroy(&alone);
}

static void a_quiet_push_owes_the_interrupt(void **state)
{
	struct alone alone;

	(void)state;
	alone_create(&alone, KRING_TX, 64, true);
	alone.kring.hwtail = 1;
	kring_push_quietly(&alone.kring);
	assert_int_equal(alone.ktoa->hwtail, 1);
	assert_int_equal(interrupts_of(&alone), 0);
	kring_push(&alone.kring); /* nothing has moved since, but the owner was not told */
	assert_int_equal(interrupts_of(&alone), 1);
	kring_push(&alone.kring);
	assert_int_equal(interrupts_of(&alone), 0);
	alone_destroy(&alone);
}

static void interrupts_that_cannot_be_sent_are_counted(void **state)
{
	const uint64_t full = UINT64_MAX - 1;
	struct alone alone;

	(void)state;
	alone_create(&alone, KRING_RX, 64, true);
	/* A full counter is an interrupt that is still pending. */
	assert_int_equal(write(alone.kring.interrupt_fd, &full, sizeof(full)), sizeof(full));
	alone.kring.hwtail = 1;
	kring_push(&alone.kring);
	assert_int_equal(counted(&alone, RING_INTERRUPTS_SENT), 1);
	assert_int_equal(counted(&alone, RING_INTERRUPTS_FAILED), 0);
	/* No eventfd; a stale errno must not make that a success. */
	close(alone.kring.interrupt_fd);
	alone.kring.interrupt_fd = -1;
	alone.kring.hwtail = 2;
	kring_push(&alone.kring);
	assert_int_equal(counted(&alone, RING_INTERRUPTS_SENT), 1);
	assert_int_equal(counted(&alone, RING_INTERRUPTS_FAILED), 1);
	assert_int_equal(alone.ktoa->hwtail, 2);
	/* One that cannot be written. */
	alone.kring.interrupt_fd = memfd_create("read-only", MFD_ALLOW_SEALING);
	close(alone.kring.interrupt_fd);
	alone.kring.hwtail = 3;
	kring_push(&alone.kring);
	assert_int_equal(counted(&alone, RING_INTERRUPTS_FAILED), 2);
	alone.kring.interrupt_fd = -1;
	munmap(alone.atok, 2 * WATCHED_PAGE);
}

/*
 * Ordering (spec 7.1): who sees an hwtail must see the hwcur, the slots and the
 * buffers that belong to it. The other thread checks the rule; under TSan the
 * slot itself does.
 */
struct observer {
	struct alone alone;
	uint32_t slot[64]; /* plain memory: TSan sees it if a barrier is missing */
	unsigned wrong;
};

#define OBSERVED_ROUNDS 200000u

static void *observe(void *argument)
{
	struct observer *observer = argument;
	uint32_t hwcur, hwtail, seen = 0;

	while (seen < OBSERVED_ROUNDS) {
		ptnet_csb_read(observer->alone.ktoa, &hwcur, &hwtail);
		/* hwcur may be newer than hwtail, never older. */
		observer->wrong += ring_distance(64, hwtail, hwcur) >= 32;
		for (; seen % 64 != hwtail; seen++)
			observer->wrong += observer->slot[seen % 64] != seen;
		ptnet_csb_publish(observer->alone.atok, hwtail, hwtail);
	}
	return NULL;
}

static void slots_are_seen_before_hwtail(void **state)
{
	static struct observer observer;
	struct kring *kring = &observer.alone.kring;
	pthread_t thread;

	(void)state;
	alone_create(&observer.alone, KRING_RX, 64, true);
	observer.alone.atok->appl_need_kick = 0;
	assert_int_equal(pthread_create(&thread, NULL, observe, &observer), 0);
	for (uint32_t done = 0; done < OBSERVED_ROUNDS;) {
		assert_true(kring_pull(kring));
		if (ring_distance(64, kring->head, kring->hwtail) >= 16)
			continue;
		observer.slot[done % 64] = done;
		done++;
		kring->hwcur = kring->hwtail = done % 64;
		kring_push(kring);
		kring->hwcur = kring->head; /* so that pull accepts the owner's head */
	}
	pthread_join(thread, NULL);
	assert_int_equal(observer.wrong, 0);
	alone_destroy(&observer.alone);
}

/* ---- start and stop ---- */

static void start_writes_positions_and_asks_for_everything(void **state)
{
	struct alone alone;

	(void)state;
	alone_create(&alone, KRING_TX, 64, true);
	kring_stop(&alone.kring);
	memset(alone.atok, 0xee, sizeof(*alone.atok));
	memset(alone.ktoa, 0xee, sizeof(*alone.ktoa));
	alone.kring.head = 11;
	alone.kring.cur = 12;
	alone.kring.hwcur = 10;
	alone.kring.hwtail = 9;
	kring_start(&alone.kring, alone.atok, alone.ktoa, true);
	assert_int_equal(alone.atok->head, 11);
	assert_int_equal(alone.atok->cur, 12);
	assert_int_equal(alone.atok->appl_need_kick, 1);
	assert_int_equal(alone.atok->sync_flags, 1);
	assert_int_equal(alone.ktoa->hwcur, 10);
	assert_int_equal(alone.ktoa->hwtail, 9);
	assert_int_equal(alone.ktoa->kern_need_kick, 1);
	assert_int_equal(ring_fault_of(&alone), PTNET_FAULT_NONE);
	/* hwtail is known to the owner: no interrupt for it. */
	kring_push(&alone.kring);
	assert_int_equal(interrupts_of(&alone), 0);
	alone_destroy(&alone);
}

static void positions_survive_a_stop(void **state)
{
	struct alone alone;

	(void)state;
	alone_create(&alone, KRING_TX, 64, true);
	alone.atok->head = alone.atok->cur = 20;
	assert_true(kring_pull(&alone.kring));
	alone.kring.hwcur = 20;
	alone.kring.hwtail = 19;
	kring_push(&alone.kring);
	/* Published, but stopped before it was seen: given up. */
	alone.atok->head = alone.atok->cur = 30;
	kring_stop(&alone.kring);
	assert_null(alone.kring.atok);
	assert_null(alone.kring.ktoa);
	kring_start(&alone.kring, alone.atok, alone.ktoa, true);
	assert_int_equal(alone.atok->head, 20);
	assert_int_equal(alone.ktoa->hwcur, 20);
	assert_int_equal(alone.ktoa->hwtail, 19);
	alone_destroy(&alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(positions_wrap),
		cmocka_unit_test(exactly_the_positions_in_order_are_accepted),
		cmocka_unit_test(a_stopped_or_faulted_ring_is_not_read),
#ifdef WATCHED_MEMORY
		cmocka_unit_test(head_and_cur_are_read_once),
		cmocka_unit_test(what_was_published_is_never_read_back),
		cmocka_unit_test(a_slot_is_read_once),
#endif
		cmocka_unit_test(slots_are_checked_against_the_pool),
		cmocka_unit_test(a_fault_tells_log_owner_and_counter),
		cmocka_unit_test(old_drivers_see_no_fault_word),
		cmocka_unit_test(faults_and_states_have_names),
		cmocka_unit_test(push_interrupts_when_asked_and_moved),
		cmocka_unit_test(a_quiet_push_owes_the_interrupt),
		cmocka_unit_test(interrupts_that_cannot_be_sent_are_counted),
		cmocka_unit_test(slots_are_seen_before_hwtail),
		cmocka_unit_test(start_writes_positions_and_asks_for_everything),
		cmocka_unit_test(positions_survive_a_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
