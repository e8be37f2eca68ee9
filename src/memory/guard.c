/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_SHIFT    12
#define PAGE	      (UINT64_C(1) << PAGE_SHIFT)
#define LENGTH_BITS   28 /* pages; the address has 36: 48 bits without the page offset */
#define MAX_LENGTH    ((UINT64_C(1) << LENGTH_BITS) - 1)
#define SLOT_FREE     UINT64_C(0)
#define SLOT_RESERVED UINT64_C(1) /* no pages: covers nothing */
/*
 * So often is a part replaced, then all: each part is one more mapping or two, and when
 * there are vm.max_map_count of them there can be none.
 */
#define PARTS_MOST 64

/*
 * A slot: where the pages are, first page number and number of pages in one word,
 * so that the handler never sees one of an old and the other of a new mapping.
 * The rest is constant while `where` covers something.
 */
static struct {
	_Atomic uint64_t where;
	_Atomic bool lost;
	_Atomic uint32_t parts; /* replaced so far */
	void *_Atomic reserve;	/* as long as the mapping; NULL: has taken its place */
	int lost_eventfd;
	size_t granule;
} slots[GUARD_MAX];
/* Slots from here on were never used; bounds what the handler looks at. */
static _Atomic unsigned slots_used;

static struct sigaction previous_action;

static uint64_t encode(const void *pages, size_t length)
{
	return ((uint64_t)(uintptr_t)pages >> PAGE_SHIFT) << LENGTH_BITS | length >> PAGE_SHIFT;
}

/* Async-signal-safe. The slot whose mapping has @address, or -1; and what to replace. */
static int find_slot(uint64_t address, void **pages, size_t *length)
{
	unsigned used = atomic_load(&slots_used);
	uint64_t page = address >> PAGE_SHIFT;

	for (unsigned i = 0; i < used; i++) {
		uint64_t where = atomic_load(&slots[i].where);
		uint64_t first = where >> LENGTH_BITS, count = where & MAX_LENGTH;

		if (first == 0 || page < first || page - first >= count)
			continue;
		uint64_t granule = slots[i].granule >> PAGE_SHIFT;
		uint64_t before = (page - first) / granule * granule;

		*pages = (void *)(uintptr_t)((first + before) << PAGE_SHIFT);
		*length = (count - before < granule ? count - before : granule) << PAGE_SHIFT;
		return (int)i;
	}
	return -1;
}

/*
 * The kernel may have no memory left that it has not promised to somebody
 * (vm.overcommit_memory 2), which the other side can bring about. The reserve was promised
 * to us, and moving it takes no new promise.
 */
static bool replace_all(unsigned slot)
{
	uint64_t where = atomic_load(&slots[slot].where);
	void *pages = (void *)(uintptr_t)(where >> LENGTH_BITS << PAGE_SHIFT);
	size_t length = (where & MAX_LENGTH) << PAGE_SHIFT;
	void *reserve = atomic_exchange(&slots[slot].reserve, NULL);

	/* Another thread is at it: the access is repeated until that is done. */
	if (reserve == NULL)
		return true;
	return mremap(reserve, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, pages) != MAP_FAILED;
}

static bool replace(unsigned slot, void *pages, size_t length)
{
	if (atomic_fetch_add(&slots[slot].parts, 1) < PARTS_MOST &&
	    mmap(pages, length, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED)
		return true;
	return replace_all(slot);
}

/* What would have happened without us. */
static void chain(int signal_number, siginfo_t *info, void *context)
{
	if (previous_action.sa_flags & SA_SIGINFO) {
		previous_action.sa_sigaction(signal_number, info, context);
	} else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
		previous_action.sa_handler(signal_number);
	} else {
		/* The access is repeated when we return, and now kills. */
		signal(signal_number, SIG_DFL);
		if (info->si_code <= 0)
			raise(signal_number); /* was sent by a process: there is no access */
	}
}

static void handle_sigbus(int signal_number, siginfo_t *info, void *context)
{
	const uint64_t one = 1;
	int saved_errno = errno;
	void *pages = NULL;
	size_t length = 0;
	int slot = -1;

	if (info->si_code > 0)
		slot = find_slot((uint64_t)(uintptr_t)info->si_addr, &pages, &length);
	if (slot < 0 || !replace((unsigned)slot, pages, length)) {
		chain(signal_number, info, context);
	} else {
		atomic_store(&slots[slot].lost, true);
		if (write(slots[slot].lost_eventfd, &one, sizeof(one)) < 0) {
			/* Its counter is full, so that somebody was told already. */
		}
	}
	errno = saved_errno;
}

/* Again for each mapping: some library may have taken the signal since. */
static void install_handler(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct sigaction action = {.sa_sigaction = handle_sigbus, .sa_flags = SA_SIGINFO};
	struct sigaction present;

	sigemptyset(&action.sa_mask);
	pthread_mutex_lock(&lock);
	sigaction(SIGBUS, NULL, &present);
	if ((present.sa_flags & SA_SIGINFO) == 0 || present.sa_sigaction != handle_sigbus) {
		previous_action = present;
		sigaction(SIGBUS, &action, NULL);
	}
	pthread_mutex_unlock(&lock);
}

int guard_add(void *pages, size_t length, size_t granule, int lost_eventfd)
{
	void *reserve;

	if (length >> PAGE_SHIFT > MAX_LENGTH)
		return -EINVAL;
	install_handler();
	reserve = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserve == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < GUARD_MAX; i++) {
		uint64_t expected = SLOT_FREE;

		if (!atomic_compare_exchange_strong(&slots[i].where, &expected, SLOT_RESERVED))
			continue;
		slots[i].lost_eventfd = lost_eventfd;
		slots[i].granule = granule;
		atomic_store(&slots[i].lost, false);
		atomic_store(&slots[i].parts, 0);
		atomic_store(&slots[i].reserve, reserve);
		unsigned used = atomic_load(&slots_used);
		while (used <= i && !atomic_compare_exchange_weak(&slots_used, &used, i + 1))
			;
		atomic_store(&slots[i].where, encode(pages, length));
		return (int)i;
	}
	munmap(reserve, length);
	return -ENOSPC;
}

void guard_remove(int slot)
{
	size_t length = (atomic_load(&slots[slot].where) & MAX_LENGTH) << PAGE_SHIFT;
	void *reserve = atomic_exchange(&slots[slot].reserve, NULL);

	if (reserve != NULL)
		munmap(reserve, length);
	atomic_store(&slots[slot].where, SLOT_FREE);
}

bool guard_lost(int slot)
{
	return atomic_load(&slots[slot].lost);
}
