/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of descriptors and what is hidden in it, and the lock that survives its holder. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hidden.h"
#include "ring_lock.h"
#include "table.h"

static uint64_t object __attribute__((aligned(8)));
static uint64_t another __attribute__((aligned(8)));

/* ---- the table ---- */

static void test_entries(void **state)
{
	sigset_t signals;

	(void)state;
	assert_int_equal(table_get(5).word, 0);
	assert_int_equal(table_get(-1).word, 0);
	assert_int_equal(table_get(TABLE_SIZE).word, 0);
	shim_lock(&signals);
	assert_int_equal(table_set(5, TABLE_NETMAP, &object), 0);
	assert_int_equal(table_set(TABLE_SIZE - 1, TABLE_EPOLL, &another), 0);
	assert_int_equal(table_set(TABLE_SIZE, TABLE_EPOLL, &another), -EMFILE);
	assert_int_equal(table_set(-1, TABLE_EPOLL, &another), -EMFILE);
	assert_int_equal(table_kind(table_get(5)), TABLE_NETMAP);
	assert_ptr_equal(table_object(table_get(5)), &object);
	assert_int_equal(table_kind(table_get(TABLE_SIZE - 1)), TABLE_EPOLL);
	assert_int_equal(table_next(0), 5);
	assert_int_equal(table_next(5), 5);
	assert_int_equal(table_next(6), TABLE_SIZE - 1);
	table_clear(5);
	table_clear(TABLE_SIZE - 1);
	assert_int_equal(table_next(0), -1);
	shim_unlock(&signals);
	assert_int_equal(table_get(5).word, 0);
	assert_true(table_in_use());
}

#define READERS 3
#define ROUNDS	20000
#define LAST	(3 << TABLE_CHUNK_BITS) /* so that chunks are made meanwhile, too */

static bool stop;

/* An entry is seen whole or not at all. */
static void *read_entries(void *argument)
{
	uintptr_t wrong = 0;
	int fd = 0;

	(void)argument;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct table_entry entry = table_get(fd);

		if (table_kind(entry) == TABLE_NETMAP)
			wrong += table_object(entry) != &object;
		else if (table_kind(entry) == TABLE_EPOLL)
			wrong += table_object(entry) != &another;
		else
			wrong += entry.word != 0;
		fd = (fd + 101) % LAST;
	}
	return (void *)wrong;
}

static void test_readers(void **state)
{
	pthread_t threads[READERS];
	sigset_t signals;
	void *wrong;
	int i;

	(void)state;
	for (i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_entries, NULL), 0);
	for (i = 0; i < ROUNDS; i++) {
		int fd = i * 37 % LAST;

		shim_lock(&signals);
		if (i % 3 == 0)
			table_clear(fd);
		else if (i % 3 == 1)
			assert_int_equal(table_set(fd, TABLE_NETMAP, &object), 0);
		else
			assert_int_equal(table_set(fd, TABLE_EPOLL, &another), 0);
		shim_unlock(&signals);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	shim_lock(&signals);
	for (i = 0; i < LAST; i++)
		table_clear(i);
	shim_unlock(&signals);
}

/* ---- hidden descriptors ---- */

static uint64_t value_of(int fd)
{
	uint64_t value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static void test_hidden(void **state)
{
	int plain = eventfd(0, EFD_NONBLOCK), old;
	struct hidden hidden;
	struct rlimit limit;
	sigset_t signals;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	shim_lock(&signals);
	assert_int_equal(hidden_keep(plain, &hidden), 0);
	assert_true(hidden.fd >= (int)(limit.rlim_cur / 2) || hidden.fd >= 3072);
	assert_int_equal(fcntl(plain, F_GETFD), -1);
	assert_int_equal(fcntl(hidden.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(table_kind(table_get(hidden.fd)), TABLE_HIDDEN);
	shim_unlock(&signals);
	hidden_signal(&hidden);
	assert_int_equal(value_of(hidden.fd), 1);

	shim_lock(&signals);
	old = hidden.fd;
	assert_int_equal(hidden_make_way(old), 0);
	assert_int_not_equal(hidden.fd, old);
	assert_int_equal(fcntl(old, F_GETFD), -1);
	assert_int_equal(table_get(old).word, 0);
	assert_int_equal(table_kind(table_get(hidden.fd)), TABLE_HIDDEN);
	shim_unlock(&signals);
	hidden_signal(&hidden);
	assert_int_equal(value_of(hidden.fd), 1);

	shim_lock(&signals);
	old = hidden.fd;
	hidden_close(&hidden);
	hidden_close(&hidden);
	shim_unlock(&signals);
	assert_int_equal(hidden.fd, -1);
	assert_int_equal(fcntl(old, F_GETFD), -1);
	assert_int_equal(table_get(old).word, 0);
	hidden_signal(&hidden); /* to nobody */
}

static void test_no_high_numbers(void **state)
{
	struct rlimit limit, low;
	struct hidden hidden;
	sigset_t signals;
	int plain = eventfd(0, EFD_NONBLOCK), fd, fillers[64];
	unsigned count = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (count < 64 && (fd = dup(plain)) >= 0)
		fillers[count++] = fd;
	shim_lock(&signals);
	assert_int_equal(hidden_keep(plain, &hidden), 0);
	assert_int_equal(hidden.fd, plain); /* better there than nowhere */
	assert_int_equal(hidden_make_way(plain), -EMFILE);
	hidden_close(&hidden);
	shim_unlock(&signals);
	while (count > 0)
		close(fillers[--count]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* ---- the lock ---- */

static void test_lock(void **state)
{
	uint32_t lock = 0;

	(void)state;
	assert_true(ring_lock_try(&lock));
	assert_int_equal(lock, ring_lock_token);
	assert_int_equal(lock & ((1u << 22) - 1), gettid());
	assert_false(ring_lock_try(&lock)); /* a signal handler's case */
	ring_lock_release(&lock);
	assert_int_equal(lock, 0);
	assert_true(ring_lock_try(&lock));
	ring_lock_release(&lock);
}

/* A process that dies while it holds the lock. */
static void test_lock_of_the_dead(void **state)
{
	uint32_t *lock =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child = fork();
	siginfo_t info;
	uint32_t held;

	(void)state;
	if (child == 0) {
		ring_lock_token = 0; /* as after any fork */
		_exit(ring_lock_try(lock) ? 0 : 1);
	}
	/* Its parent may be busy with this very ring, and not have asked for its status. */
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	held = *lock;
	assert_int_not_equal(held, 0);
	assert_true(ring_lock_try(lock));
	assert_int_equal(*lock, ring_lock_token);
	*lock = held;
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(ring_lock_try(lock));
	assert_int_equal(*lock, ring_lock_token);
	ring_lock_release(lock);
	munmap(lock, 4096);
}

/* Another thread has got the number meanwhile: its start time differs. */
static void test_lock_of_a_reused_number(void **state)
{
	uint32_t lock = (uint32_t)getppid(), start;

	(void)state;
	assert_false(ring_lock_try(&lock)); /* of whom no start time is known, lives */
	for (start = 1, lock = 0; start < 4; start++) {
		/* At least two of three are wrong. */
		lock = (uint32_t)getppid() | start << 22;
		if (ring_lock_try(&lock))
			break;
	}
	assert_int_equal(lock, ring_lock_token);
}

#define LOCKERS	     4
#define TURNS	     20000
#define ENOUGH_TURNS 1000

static uint32_t shared_lock;
static unsigned inside, entered;

static void *take_turns(void *argument)
{
	uintptr_t wrong = 0;
	int i;

	(void)argument;
	for (i = 0; i < TURNS; i++) {
		if (!ring_lock_try(&shared_lock))
			continue;
		wrong += inside++ != 0;
		entered++;
		inside--;
		ring_lock_release(&shared_lock);
	}
	return (void *)wrong;
}

static void test_lock_among_threads(void **state)
{
	pthread_t threads[LOCKERS];
	void *wrong;
	int i;

	(void)state;
	for (i = 0; i < LOCKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_turns, NULL), 0);
	for (i = 0; i < LOCKERS; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	assert_true(entered >= ENOUGH_TURNS);
	assert_int_equal(shared_lock, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_no_high_numbers),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_lock_of_the_dead),
		cmocka_unit_test(test_lock_of_a_reused_number),
		cmocka_unit_test(test_lock_among_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
