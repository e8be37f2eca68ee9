/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An open file description of /dev/netmap, as this process knows it: a connection to ptnetd,
 * and what it is bound to. Several descriptors may name one (dup), and other processes may have it
 * as well (fork, exec, SCM_RIGHTS); all that they share is in the daemon and in shared memory.
 *
 * A description is bound at most once in its life. What belongs to the binding is written before
 * `bound` is set and constant from then on.
 *
 * References: one per descriptor in the table, and one per call that is using it. The structures
 * are never given back to the allocator, so that a reader may look at one that
 * somebody else is giving up; with the last reference eventfds, mappings and the rest go.
 */
#ifndef PTNET_SHIM_DESCRIPTION_H
#define PTNET_SHIM_DESCRIPTION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <ptnet/local.h>

#include "hidden.h"

/* One bound ring. Constant while bound, but for the eventfds' numbers. */
struct shim_ring {
	struct netmap_ring *ring;
	struct ptnet_local_atok *atok; /* NULL: a null port's */
	struct ptnet_local_ktoa *ktoa;
	char *buf_base; /* buffer 0 */
	uint32_t num_slots;
	uint32_t buf_size;
	uint32_t num_bufs;
	bool tx;
	bool fetch; /* slots may be NS_INDIRECT */
	struct hidden kick;
	struct hidden interrupt;
} __attribute__((aligned(64)));

/* A region that this process has mapped for itself, once for all descriptions. */
struct shim_region {
	struct shim_region *next;
	unsigned users; /* descriptions; under shim_lock(), as the rest */
	dev_t dev;
	ino_t ino;
	struct hidden file;
	char *base;
	uint64_t map_size; /* of our mapping */
	uint64_t memsize;  /* what programs may map */
	uint16_t mem_id;
	/* Memory of the program's that is this region (EXTMEM); 0: none, or not any more. */
	uint64_t program_base;
	uint64_t program_size;
	struct nmreq_pools_info program_pools;
};

/* The program's CSB and the loop that serves it (csb.h). */
struct shim_kloop {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool running, stop;
	struct hidden wake; /* while it runs */
};

struct description {
	uint32_t refs;	     /* atomic */
	uint32_t generation; /* of this structure's use; atomic */
	uint32_t number;     /* of this structure */
	uint32_t num_fds;    /* in the table; under shim_lock() */
	dev_t dev;
	ino_t ino; /* the socket's: no other has it while it is open */
	/* Atomic, set once: */
	bool bound;
	bool closed; /* no descriptor is left in this process, and calls that use it must end */
	bool dead;   /* the daemon is gone */
	bool csb_mode;
	pthread_mutex_t request_lock; /* one request at a time */

	/* The binding. TX rings first. */
	struct ptnet_local_binding binding;
	struct shim_region *region;
	struct ptnet_local_csb *csb;
	unsigned num_tx, num_rx;
	struct shim_ring rings[PTNET_MAX_RINGS];

	uint64_t program_atok, program_ktoa; /* csb_mode */
	struct shim_kloop kloop;
	struct description *next; /* of all, or of the free ones */
} __attribute__((aligned(64)));

/* One more; false: there is none left, and what is counted is being given up. */
static inline bool reference_take(uint32_t *refs)
{
	uint32_t count = __atomic_load_n(refs, __ATOMIC_RELAXED);

	while (count != 0 && !__atomic_compare_exchange_n(refs, &count, count + 1, true,
							  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		;
	return count != 0;
}

/*
 * The description that @fd names, with a reference; NULL if it is not netmap's as far as is known.
 * Any thread, no lock.
 */
struct description *description_get(int fd);

/* The same, and looks at a descriptor that is not known: it may have come by a way we didn't see.
 */
struct description *description_find(int fd);

/* Not for description_put() under shim_lock(): that is the other one. */
void description_put(struct description *d);
void description_put_locked(struct description *d);

/*
 * Notes that @fd, a connection to the daemon, is netmap's. The entry of whatever had the number
 * goes. -ENOMEM, -EMFILE. Under shim_lock().
 */
int description_note(int fd);

/* Notes @fd if it is a connection to the daemon. True: it is. Takes shim_lock() if so. */
bool description_recognise(int fd);

/* Is @fd still what it was, or has it been closed behind our back? */
bool description_is(int fd, const struct description *d);

/* The same; if it is not, it is forgotten. Not under shim_lock(). */
bool description_verify(int fd, const struct description *d);

/* The descriptor is being closed or replaced. Under shim_lock(), before it happens. */
void description_forget_fd(int fd);

/*
 * What an epoll of ours remembers of a description, whose socket it may outlive: its address and
 * the last bits of its generation. No address of a program's has more than 48 bits, unless it
 * asks for one.
 */
static inline uint64_t description_mark(const struct description *d)
{
	return (uintptr_t)d | (uint64_t)__atomic_load_n(&d->generation, __ATOMIC_RELAXED) << 48;
}

/* The daemon has closed the connection of whom this is the mark. */
void description_hung_up(uint64_t mark);

static inline bool description_bound(const struct description *d)
{
	return __atomic_load_n(&d->bound, __ATOMIC_ACQUIRE);
}

/*
 * Makes sure that the binding is known here. 0; -ENXIO: not bound; -EIO: the daemon is gone.
 * Makes a request if it isn't known. @fd is a descriptor of the description's.
 */
int description_join(struct description *d, int fd);

/*
 * Takes over what the daemon says of a binding and its descriptors. Nobody else sees it before
 * description_publish(). Under d->request_lock. Negative errno: nothing of it is left here, and the
 * descriptors are closed.
 */
int description_prepare(struct description *d, const struct ptnet_local_binding *binding, int *fds,
			unsigned num_fds);
void description_publish(struct description *d);
void description_unprepare(struct description *d);

/* Runs @function for each description that is in use. Under shim_lock(). */
void description_for_each(void (*function)(struct description *d, void *argument), void *argument);

/* In the child. */
void description_after_fork(void);

/* The region that was made of this memory of the program's, NULL if there is none. Under
 * shim_lock(). */
struct shim_region *region_of_program(uint64_t base, uint64_t size);

/* The program unmaps or replaces its memory there. Under shim_lock(). */
void region_program_unmapped(uint64_t base, uint64_t size);

#endif
