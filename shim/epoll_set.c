/* SPDX-License-Identifier: BSD-2-Clause */
#include "epoll_set.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "clock.h"
#include "looking.h"
#include "pool.h"
#include "readiness.h"
#include "real.h"
#include "signals.h"
#include "sleeper.h"
#include "table.h"

#define DEEPEST 5 /* epolls in epolls, as the kernel allows */
#define EVENTS	16
#define LOOKS	3	/* at an epoll that is ready because a ring has moved */
#define MOMENT	1000000 /* ns to sleep at most if somebody was at a ring */

/* A netmap descriptor in the set, or an epoll that has a set itself. */
struct item {
	struct item *next;
	uint64_t serial; /* names it when the lock was let go meanwhile */
	int fd;
	struct description *d;	 /* no reference: it takes its items along */
	struct epoll_set *child; /* with a reference; the kernel knows it as well */
	uint32_t events;
	epoll_data_t data;
	bool watched;  /* its rings' interrupts are in the inner epoll */
	bool disabled; /* EPOLLONESHOT has been reported */
	/* EPOLLET: what was ready when it was reported last, and has been ever since; */
	uint32_t still;
	/* Where the rings were (note_where()) when one began to look at what was then reported. */
	uint64_t reported;
};

struct epoll_set {
	uint32_t refs;	  /* atomic */
	uint32_t num_fds; /* in the table; under shim_lock() */
	struct epoll_set *next;
	pthread_mutex_t lock; /* the items; after shim_lock() */
	struct item *items;
	uint64_t last_serial;
	uint64_t resume;  /* whom to ask first, lest one starve for want of room; atomic */
	uint32_t turn;	  /* whether others or ours come first; atomic */
	uint32_t waiting; /* threads in epoll_wait(); atomic */
	uint64_t cookie;  /* what the inner epoll is known as in the real one */
	struct hidden inner;
	struct hidden nudge; /* wakes who waits */
} __attribute__((aligned(64)));

static struct epoll_set *sets;
static struct pool item_pool = POOL(struct item);

/* ---- references ---- */

static void set_put_locked(struct epoll_set *set);

static void items_free(struct item *item)
{
	while (item != NULL) {
		struct item *next = item->next;

		if (item->child != NULL)
			set_put_locked(item->child);
		pool_put(&item_pool, item);
		item = next;
	}
}

/* Their memory remains sets', which are used again: somebody may be looking at this one. */
static struct epoll_set *unused_sets;
static struct pool set_pool = POOL(struct epoll_set);

static void set_ref_locked(struct epoll_set *set)
{
	__atomic_fetch_add(&set->refs, 1, __ATOMIC_RELAXED);
}

static void set_delete(struct epoll_set *set)
{
	struct epoll_set **link = &sets;
	struct item *items = set->items;

	set->resume = 0;
	while (*link != set)
		link = &(*link)->next;
	*link = set->next;
	set->items = NULL;
	hidden_close(&set->inner);
	hidden_close(&set->nudge);
	set->next = unused_sets;
	unused_sets = set;
	items_free(items);
}

static void set_put_locked(struct epoll_set *set)
{
	if (__atomic_sub_fetch(&set->refs, 1, __ATOMIC_ACQ_REL) == 0)
		set_delete(set);
}

void epoll_set_put(struct epoll_set *set)
{
	sigset_t signals;

	if (SHIM_LIKELY(__atomic_sub_fetch(&set->refs, 1, __ATOMIC_ACQ_REL) != 0))
		return;
	shim_lock(&signals);
	set_delete(set);
	shim_unlock(&signals);
}

struct epoll_set *epoll_set_get(int epoll)
{
	for (;;) {
		struct table_entry entry = table_get(epoll);
		struct epoll_set *set = table_object(entry);

		if (table_kind(entry) != TABLE_EPOLL)
			return NULL;
		if (!reference_take(&set->refs))
			continue;
		if (table_get(epoll).word == entry.word)
			return set;
		epoll_set_put(set);
	}
}

/* ---- making one ---- */

/* Something to start from that a program's own data will not be. */
static uint64_t make_cookie(const struct epoll_set *set)
{
	uint64_t cookie;

	if (syscall(SYS_getrandom, &cookie, sizeof(cookie), GRND_NONBLOCK) != sizeof(cookie))
		cookie = (uintptr_t)set * 0x9e3779b97f4a7c15u;
	return cookie;
}

/* @mark: of the description whose socket it is, or 0. */
static int add_edge(const struct hidden *epoll, int fd, uint64_t mark)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = mark};

	if (raw_epoll_ctl(hidden_fd(epoll), EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

static int set_fill(struct epoll_set *set, int epoll)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd, result;

	fd = real.epoll_create1(EPOLL_CLOEXEC);
	result = fd < 0 ? -errno : hidden_keep(fd, &set->inner);
	if (result < 0)
		return result;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	result = fd < 0 ? -errno : hidden_keep(fd, &set->nudge);
	if (result == 0)
		result = add_edge(&set->inner, hidden_fd(&set->nudge), 0);
	if (result < 0)
		return result;
	set->cookie = event.data.u64 = make_cookie(set);
	return raw_epoll_ctl(epoll, EPOLL_CTL_ADD, hidden_fd(&set->inner), &event) < 0 ? -errno : 0;
}

static struct epoll_set *set_new(void)
{
	struct epoll_set *set = unused_sets;

	if (set != NULL) {
		unused_sets = set->next;
	} else {
		set = pool_get(&set_pool);
		if (set == NULL)
			return NULL;
	}
	pthread_mutex_init(&set->lock, NULL);
	set->inner.fd = set->nudge.fd = -1;
	set->waiting = 0;
	set->num_fds = 0;
	set->next = sets;
	sets = set;
	__atomic_store_n(&set->refs, 1, __ATOMIC_RELEASE);
	return set;
}

/* With the table's reference only. Under shim_lock(). */
static int set_make(int epoll, struct epoll_set **made)
{
	struct epoll_set *set = set_new();
	int result;

	if (set == NULL)
		return -ENOMEM;
	result = set_fill(set, epoll);
	if (result == 0)
		result = epoll_set_note(set, epoll);
	set_put_locked(set);
	if (result < 0)
		return result;
	*made = set;
	return 0;
}

bool epoll_set_verify(struct epoll_set *set, int epoll)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = set->cookie};
	int error = errno;
	bool ours;
	sigset_t signals;

	if (raw_epoll_ctl(epoll, EPOLL_CTL_ADD, hidden_fd(&set->inner), &event) < 0) {
		ours = errno == EEXIST;
	} else {
		raw_epoll_ctl(epoll, EPOLL_CTL_DEL, hidden_fd(&set->inner), NULL);
		ours = false;
	}
	errno = error;
	if (ours || !shim_own_process())
		return ours;
	shim_lock(&signals);
	if (table_object(table_get(epoll)) == set)
		description_forget_fd(epoll);
	shim_unlock(&signals);
	return false;
}

/* ---- items; under shim_lock() and set->lock ---- */

static struct item **find_item(struct epoll_set *set, int fd, const struct description *d,
			       const struct epoll_set *child)
{
	struct item **link = &set->items;

	while (*link != NULL && ((*link)->fd != fd || (*link)->d != d || (*link)->child != child))
		link = &(*link)->next;
	return link;
}

static void item_set(struct epoll_set *set, struct item *item, const struct epoll_event *event)
{
	item->serial = ++set->last_serial;
	item->events = event->events;
	item->data = event->data;
	item->disabled = false;
	item->still = 0;
}

static int item_add(struct epoll_set *set, int fd, struct description *d, struct epoll_set *child,
		    const struct epoll_event *event)
{
	struct item **link = find_item(set, fd, d, child), *item;

	if (*link != NULL)
		return -EEXIST;
	/* It was closed meanwhile. */
	if (child != NULL && child->num_fds == 0)
		return -EBADF;
	item = pool_get(&item_pool);
	if (item == NULL)
		return -ENOMEM;
	item->fd = fd;
	item->d = d;
	item->child = child;
	if (child != NULL)
		set_ref_locked(child);
	item_set(set, item, event);
	*link = item;
	return 0;
}

static int item_control(struct epoll_set *set, int operation, int fd, struct description *d,
			struct epoll_set *child, const struct epoll_event *event)
{
	struct item **link, *item;

	if (operation == EPOLL_CTL_ADD)
		return item_add(set, fd, d, child, event);
	link = find_item(set, fd, d, child);
	item = *link;
	if (item == NULL)
		return -ENOENT;
	if (operation == EPOLL_CTL_MOD) {
		item_set(set, item, event);
		return 0;
	}
	*link = item->next;
	item->next = NULL;
	items_free(item);
	return 0;
}

/* The rings' interrupts of a description, and the end of the daemon, wake the inner epoll. */
static int watch(struct epoll_set *set, struct description *d, int fd)
{
	unsigned i;
	int result;

	/* The number may be another file's by now, whose end is none of ours. */
	if (!description_verify(fd, d))
		return -EBADF;
	result = add_edge(&set->inner, fd, description_mark(d));

	for (i = 0; i < d->num_tx + d->num_rx && result == 0; i++)
		if (hidden_fd(&d->rings[i].interrupt) >= 0)
			result = add_edge(&set->inner, hidden_fd(&d->rings[i].interrupt), 0);
	return result;
}

static void unwatch(struct epoll_set *set, const struct description *d)
{
	int error = errno;
	unsigned i;

	for (i = 0; i < PTNET_MAX_RINGS; i++)
		if (d->rings[i].interrupt.fd >= 0 && set->inner.fd >= 0)
			raw_epoll_ctl(set->inner.fd, EPOLL_CTL_DEL, d->rings[i].interrupt.fd, NULL);
	errno = error;
}

/* Takes what is of a description, or of a child, out of the set. */
static void items_leave(struct epoll_set *set, const struct description *d,
			const struct epoll_set *child)
{
	struct item **link = &set->items;

	while (*link != NULL) {
		struct item *item = *link;

		if (item->d == d && item->child == child) {
			*link = item->next;
			item->next = NULL;
			items_free(item);
		} else {
			link = &item->next;
		}
	}
}

void epoll_set_forget(struct description *d)
{
	struct epoll_set *set;

	for (set = sets; set != NULL; set = set->next) {
		pthread_mutex_lock(&set->lock);
		items_leave(set, d, NULL);
		unwatch(set, d);
		pthread_mutex_unlock(&set->lock);
	}
}

/* ---- descriptors ---- */

int epoll_set_note(struct epoll_set *set, int fd)
{
	int result = table_set(fd, TABLE_EPOLL, set);

	if (result == 0) {
		set_ref_locked(set);
		set->num_fds++;
	}
	return result;
}

/* As any file, an epoll that is closed leaves the epolls that it is in. */
void epoll_set_forget_fd(struct epoll_set *set, int fd)
{
	struct epoll_set *parent;

	table_clear(fd);
	if (--set->num_fds == 0)
		for (parent = sets; parent != NULL; parent = parent->next) {
			pthread_mutex_lock(&parent->lock);
			items_leave(parent, NULL, set);
			pthread_mutex_unlock(&parent->lock);
		}
	set_put_locked(set);
}

/* ---- looking ---- */

/* What is needed of an item outside the lock. */
struct look {
	uint64_t serial;
	int fd;
	struct description *d; /* with a reference */
	struct epoll_set *child;
	uint32_t events;
	bool watched;
	bool disabled;
	epoll_data_t data;
	uint64_t where; /* EPOLLET: before looking */
};

static struct item *next_item(const struct epoll_set *set, uint64_t after, bool disabled_too)
{
	struct item *item, *best = NULL;

	for (item = set->items; item != NULL; item = item->next)
		if (item->serial > after && (best == NULL || item->serial < best->serial) &&
		    (disabled_too || !item->disabled))
			best = item;
	return best;
}

/* The first item of a serial greater than @after that may have something to say. */
static bool next_look(struct epoll_set *set, uint64_t after, bool disabled_too, struct look *look)
{
	struct item *item;

	pthread_mutex_lock(&set->lock);
	while ((item = next_item(set, after, disabled_too)) != NULL) {
		after = item->serial;
		if (reference_take(item->d != NULL ? &item->d->refs : &item->child->refs))
			break;
	}
	if (item != NULL)
		*look = (struct look){.serial = item->serial,
				      .fd = item->fd,
				      .d = item->d,
				      .child = item->child,
				      .events = item->events,
				      .watched = item->watched,
				      .disabled = item->disabled,
				      .data = item->data};
	pthread_mutex_unlock(&set->lock);
	return item != NULL;
}

static void look_done(struct look *look)
{
	if (look->d != NULL)
		description_put(look->d);
	if (look->child != NULL)
		epoll_set_put(look->child);
}

/* Another digest for each value, so that no single ring moves without a trace. */
static uint64_t digest_add(uint64_t digest, uint32_t value)
{
	digest = (digest ^ value) * 0x9e3779b97f4a7c15u;
	return digest ^ digest >> 32;
}

static uint64_t digest_rings(const struct description *d, uint64_t digest)
{
	unsigned i;

	if (!description_bound(d))
		return digest;
	for (i = 0; i < d->num_tx + d->num_rx; i++)
		if (d->rings[i].ktoa != NULL)
			digest = digest_add(digest, PTNET_LOAD_RELAXED(&d->rings[i].ktoa->hwtail));
	return digest;
}

static uint64_t digest_set(struct epoll_set *set, uint64_t digest, unsigned depth)
{
	struct look look;
	uint64_t after = 0;

	while (depth <= DEEPEST && next_look(set, after, false, &look)) {
		after = look.serial;
		digest = look.child != NULL ? digest_set(look.child, digest, depth + 1)
					    : digest_rings(look.d, digest);
		look_done(&look);
	}
	return digest;
}

/*
 * A digest of hwtail of all rings that an edge-triggered item is about. Before one looks: what
 * comes later may be seen or not, and must be news.
 */
static void note_where(struct look *look)
{
	if ((look->events & EPOLLET) == 0)
		look->where = 0;
	else if (look->child != NULL)
		look->where = digest_set(look->child, 0, 1);
	else
		look->where = digest_rings(look->d, 0);
}

/*
 * EPOLLET: an event is that something is ready that was not, or that hwtail has moved, which is
 * when netmap would have woken us. (hwtail alone would not do: it may have come round.)
 */
static bool is_new_edge(struct item *item, const struct look *look, uint32_t ready)
{
	item->still &= ready;
	return (ready & ~item->still) != 0 || item->reported != look->where;
}

/* An item was looked at: is it to be reported? If @take, it is being so. */
static bool is_news(struct epoll_set *set, const struct look *look, uint32_t ready, bool take)
{
	struct item *item;
	bool news = false;

	pthread_mutex_lock(&set->lock);
	for (item = set->items; item != NULL && item->serial != look->serial; item = item->next)
		;
	if (item != NULL && !item->disabled) {
		news = (item->events & EPOLLET) == 0 || is_new_edge(item, look, ready);
		news &= ready != 0;
		if (news && take) {
			item->still = ready;
			item->disabled = (item->events & EPOLLONESHOT) != 0;
			item->reported = look->where;
		}
	}
	pthread_mutex_unlock(&set->lock);
	return news;
}

static bool set_has_ready(struct epoll_set *set, bool *busy, unsigned depth);

static uint32_t look_at(struct look *look, bool *busy, unsigned depth)
{
	uint32_t events;

	note_where(look);
	if (look->child != NULL)
		return set_has_ready(look->child, busy, depth + 1) ? look->events & EVENTS_IN : 0;
	events = (uint16_t)readiness(look->d, look->fd,
				     (short)(look->events & (EVENTS_IN | EVENTS_OUT)), busy);
	/* A descriptor that is closed leaves its epolls without a word, seen by us or not. */
	if ((events & POLLNVAL) != 0 ||
	    ((events & POLLERR) != 0 && !description_verify(look->fd, look->d) &&
	     __atomic_load_n(&look->d->closed, __ATOMIC_RELAXED)))
		return 0;
	return events & (look->events | EPOLLERR | EPOLLHUP);
}

static bool set_has_ready(struct epoll_set *set, bool *busy, unsigned depth)
{
	struct look look;
	uint64_t after = 0;
	bool ready = false;

	if (depth > DEEPEST)
		return false;
	while (!ready && next_look(set, after, false, &look)) {
		after = look.serial;
		ready = is_news(set, &look, look_at(&look, busy, depth), false);
		look_done(&look);
	}
	return ready;
}

/* The events of one epoll_wait(): the kernel's and ours. */
struct report {
	struct epoll_event *events;
	int room, count;
	bool pass_on; /* there was something that other threads may be waiting for as well */
};

static bool is_reported(const struct report *report, epoll_data_t data)
{
	int i;

	for (i = 0; i < report->count; i++)
		if (report->events[i].data.u64 == data.u64)
			return true;
	return false;
}

static void collect_between(struct epoll_set *set, uint64_t after, uint64_t last,
			    struct report *report, bool *busy)
{
	struct look look;

	while (report->count < report->room && next_look(set, after, false, &look)) {
		uint32_t ready = look.serial <= last ? look_at(&look, busy, 0) : 0;
		/* The kernel knows epolls in the epoll as well. */
		bool known = look.child != NULL && is_reported(report, look.data);

		after = look.serial;
		if (look.serial <= last && !known && is_news(set, &look, ready, true)) {
			report->events[report->count].events = ready;
			report->events[report->count++].data = look.data;
			__atomic_store_n(&set->resume, look.serial, __ATOMIC_RELAXED);
		}
		look_done(&look);
		if (after >= last)
			break;
	}
}

/* Adds what is ready of ours, beginning after the one that was last. Returns how many. */
static int collect(struct epoll_set *set, struct report *report, bool *busy)
{
	uint64_t start = __atomic_load_n(&set->resume, __ATOMIC_RELAXED);
	int before = report->count;

	collect_between(set, start, UINT64_MAX, report, busy);
	if (start != 0)
		collect_between(set, 0, start, report, busy);
	/* Level-triggered events are everybody's: the next who waits shall see them, too. */
	if (report->count > before)
		report->pass_on = true;
	return report->count - before;
}

/* ---- waking ---- */

static void note_watched(struct epoll_set *set, uint64_t serial)
{
	struct item *item;

	pthread_mutex_lock(&set->lock);
	for (item = set->items; item != NULL; item = item->next)
		if (item->serial == serial)
			item->watched = true;
	pthread_mutex_unlock(&set->lock);
}

static bool arming_room(struct arming *arming)
{
	unsigned few = sizeof(arming->few) / sizeof(arming->few[0]);
	struct armed *more;

	if (arming->list == NULL) {
		arming->list = arming->few;
		arming->room = few;
	}
	if (arming->count < arming->room)
		return true;
	more = malloc(2 * arming->room * sizeof(*more));
	if (more == NULL)
		return false;
	memcpy(more, arming->list, arming->count * sizeof(*more));
	if (arming->list != arming->few)
		free(arming->list);
	arming->list = more;
	arming->room *= 2;
	return true;
}

/* Takes over the reference to @d. */
static bool arm_one(struct epoll_set *set, struct look *look, struct arming *arming)
{
	if (!description_bound(look->d))
		return true;
	if (!look->watched) {
		if (watch(set, look->d, look->fd) < 0)
			return false;
		note_watched(set, look->serial);
	}
	if (!arming_room(arming))
		return false;
	sleeper_arm(look->d, directions_of(look->events));
	arming->list[arming->count++] = (struct armed){look->d, directions_of(look->events)};
	look->d = NULL;
	return true;
}

static void arm_at(struct epoll_set *set, struct arming *arming, bool *busy, unsigned depth)
{
	struct look look;
	uint64_t after = 0;

	while (depth <= DEEPEST && next_look(set, after, true, &look)) {
		after = look.serial;
		if (look.child != NULL)
			arm_at(look.child, arming, busy, depth + 1);
		else if (!arm_one(set, &look, arming))
			*busy = true;
		look_done(&look);
	}
}

void epoll_set_arm(struct epoll_set *set, struct arming *arming, bool *busy)
{
	arm_at(set, arming, busy, 0);
}

void epoll_set_disarm(struct arming *arming)
{
	unsigned i;

	for (i = 0; i < arming->count; i++) {
		sleeper_disarm(arming->list[i].d, arming->list[i].directions);
		description_put(arming->list[i].d);
	}
	if (arming->list != arming->few)
		free(arming->list);
	arming->list = NULL;
	arming->count = 0;
}

/* What went by until now is forgotten, but for the daemon's end. */
static void set_drain(struct epoll_set *set, unsigned depth)
{
	struct epoll_event events[EVENTS];
	struct look look;
	uint64_t after = 0;
	int error = errno, count, i;

	do {
		count = raw_epoll_wait(hidden_fd(&set->inner), events, EVENTS, 0);
		for (i = 0; i < count; i++)
			if (events[i].data.u64 != 0 &&
			    (events[i].events & (EPOLLHUP | EPOLLERR)) != 0)
				description_hung_up(events[i].data.u64);
	} while (count == EVENTS);
	while (depth <= DEEPEST && next_look(set, after, true, &look)) {
		after = look.serial;
		if (look.child != NULL)
			set_drain(look.child, depth + 1);
		look_done(&look);
	}
	errno = error;
}

/* Has those look again who are in epoll_wait(). */
static void nudge(struct epoll_set *set)
{
	if (__atomic_load_n(&set->waiting, __ATOMIC_SEQ_CST) != 0)
		hidden_signal(&set->nudge);
}

/* First what went by is forgotten, then one looks: what comes in between wakes us again. */
bool epoll_set_ready(struct epoll_set *set, int epoll, bool *busy)
{
	int i;

	for (i = 0; i < LOOKS; i++) {
		struct pollfd fds[] = {{epoll, POLLIN, 0}, {hidden_fd(&set->inner), POLLIN, 0}};

		set_drain(set, 0);
		if (set_has_ready(set, busy, 0)) {
			/* They may have been woken by what we have just forgotten. */
			nudge(set);
			return true;
		}
		if (real.poll(fds, 2, 0) <= 0)
			return false;
		if (fds[1].revents == 0)
			return fds[0].revents != 0;
	}
	/* A ring of ours keeps moving: that is for who waits for the epoll to look at. */
	return true;
}

/* ---- epoll_ctl ---- */

/*
 * The epoll @epoll has got a set, and may have been put into other epolls before: these need one
 * as well, or nobody will look at ours when they are waited for. The kernel tells what is in an
 * epoll. Under shim_lock().
 */
static void adopt_into(int parent, int epoll, struct epoll_set *child);

static void adopt(int epoll, struct epoll_set *child)
{
	char path[64], target[32];
	int fd;

	for (fd = 0; fd < 1024; fd++) {
		long length;

		if (fd == epoll || table_kind(table_get(fd)) == TABLE_HIDDEN)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = syscall(SYS_readlinkat, AT_FDCWD, path, target, sizeof(target) - 1);
		if (length <= 0)
			continue;
		target[length] = '\0';
		if (strcmp(target, "anon_inode:[eventpoll]") == 0)
			adopt_into(fd, epoll, child);
	}
}

/* The line of a descriptor in an epoll's fdinfo. */
static bool parse_member(const char *line, int epoll, struct epoll_event *event)
{
	unsigned long long data;
	unsigned events;
	int fd;

	if (sscanf(line, "tfd: %d events: %x data: %llx", &fd, &events, &data) != 3 || fd != epoll)
		return false;
	event->events = events;
	event->data.u64 = data;
	return true;
}

static bool find_in_epoll(int parent, int epoll, struct epoll_event *event)
{
	char path[64], text[4096], *line, *rest;
	bool found = false;
	long fd, size;
	size_t kept = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", parent);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	while (!found && (size = raw_read((int)fd, text + kept, sizeof(text) - 1 - kept)) > 0) {
		text[kept + (size_t)size] = '\0';
		rest = text;
		while (!found && (line = strsep(&rest, "\n")) != NULL && rest != NULL)
			found = parse_member(line, epoll, event);
		/* The last line may go on in the next piece. */
		kept = line != NULL && !found ? strlen(line) : 0;
		if (kept == sizeof(text) - 1)
			kept = 0;
		if (kept != 0)
			memmove(text, line, kept);
	}
	raw_close((int)fd);
	return found;
}

static int ensure_set(int epoll, struct epoll_set **set)
{
	struct table_entry entry = table_get(epoll);
	int result;

	if (table_kind(entry) == TABLE_EPOLL) {
		*set = table_object(entry);
		return 0;
	}
	result = set_make(epoll, set);
	if (result == 0)
		adopt(epoll, *set);
	return result;
}

static void adopt_into(int parent, int epoll, struct epoll_set *child)
{
	struct epoll_event event;
	struct epoll_set *set;

	if (!find_in_epoll(parent, epoll, &event) || ensure_set(parent, &set) < 0)
		return;
	pthread_mutex_lock(&set->lock);
	item_add(set, epoll, NULL, child, &event);
	pthread_mutex_unlock(&set->lock);
	add_edge(&set->inner, hidden_fd(&child->inner), 0);
}

/* The set of @epoll, with a reference; made if there is none. */
static int set_for(int epoll, struct epoll_set **set)
{
	sigset_t signals;
	int result;

	*set = epoll_set_get(epoll);
	if (*set != NULL && epoll_set_verify(*set, epoll))
		return 0;
	if (*set != NULL)
		epoll_set_put(*set);
	shim_lock(&signals);
	result = ensure_set(epoll, set);
	if (result == 0)
		set_ref_locked(*set);
	shim_unlock(&signals);
	return result;
}

static int control_locked(struct epoll_set *set, int operation, int fd, struct description *d,
			  struct epoll_set *child, const struct epoll_event *event)
{
	sigset_t signals;
	int result;

	shim_lock(&signals);
	pthread_mutex_lock(&set->lock);
	result = item_control(set, operation, fd, d, child, event);
	pthread_mutex_unlock(&set->lock);
	shim_unlock(&signals);
	if (result == 0)
		nudge(set);
	return result;
}

static int control_netmap(int epoll, int operation, int fd, struct description *d,
			  const struct epoll_event *event)
{
	struct epoll_set *set;
	int result;

	if (operation != EPOLL_CTL_DEL && event == NULL)
		return -EFAULT;
	if (operation != EPOLL_CTL_ADD && operation != EPOLL_CTL_MOD && operation != EPOLL_CTL_DEL)
		return -EINVAL;
	result = set_for(epoll, &set);
	if (result < 0)
		return result;
	result = control_locked(set, operation, fd, d, NULL, event);
	epoll_set_put(set);
	return result;
}

/* An epoll with a set goes into another epoll, really and in ours. */
static int control_epoll(int epoll, int operation, int fd, struct epoll_set *child,
			 struct epoll_event *event)
{
	struct epoll_set *set;

	if (real.epoll_ctl(epoll, operation, fd, event) < 0)
		return -errno;
	if (set_for(epoll, &set) < 0)
		return 0;
	control_locked(set, operation, fd, NULL, child, event);
	epoll_set_put(set);
	return 0;
}

SHIM_EXPORT int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	struct description *d;
	struct epoll_set *child;
	int result;

	if (!table_in_use())
		return real.epoll_ctl(epoll, operation, fd, event);
	d = description_get(fd);
	child = d == NULL ? epoll_set_get(fd) : NULL;
	if (d != NULL && !description_verify(fd, d)) {
		description_put(d);
		d = NULL;
	}
	if (d == NULL && child == NULL)
		return real.epoll_ctl(epoll, operation, fd, event);
	result = d != NULL ? control_netmap(epoll, operation, fd, d, event)
			   : control_epoll(epoll, operation, fd, child, event);
	if (d != NULL)
		description_put(d);
	else
		epoll_set_put(child);
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return 0;
}

/* ---- epoll_wait ---- */

/* What the kernel reports of a child with a set. If it is genuine, it has been reported for us. */
static bool is_genuine_child(struct epoll_set *set, const struct report *report, struct look *look,
			     bool *busy)
{
	note_where(look);
	if (look->disabled || is_reported(report, look->data) ||
	    !epoll_set_ready(look->child, look->fd, busy))
		return false;
	is_news(set, look, look->events & EVENTS_IN, true);
	return true;
}

/* Is what the kernel reported more than our own wake-up? */
static bool is_genuine(struct epoll_set *set, const struct report *report,
		       const struct epoll_event *event, bool *busy)
{
	struct look look;
	uint64_t after = 0;
	bool genuine = true;

	if (event->data.u64 == set->cookie) {
		set_drain(set, 0);
		return false;
	}
	while (genuine && next_look(set, after, true, &look)) {
		after = look.serial;
		if (look.child != NULL && look.data.u64 == event->data.u64)
			genuine = is_genuine_child(set, report, &look, busy);
		look_done(&look);
	}
	return genuine;
}

/* The kernel has written @count events behind those in the report: keeps what is genuine. */
static void filter(struct epoll_set *set, struct report *report, int count, bool *busy)
{
	const struct epoll_event *event = &report->events[report->count];
	int i;

	for (i = 0; i < count; i++) {
		struct epoll_event copy = event[i];

		if (is_genuine(set, report, &copy, busy))
			report->events[report->count++] = copy;
	}
}

struct epoll_sleep {
	struct epoll_set *set;
	struct arming arming;
};

static void wake_up(void *sleep)
{
	struct epoll_sleep *s = sleep;
	int error = errno;

	epoll_set_disarm(&s->arming);
	__atomic_fetch_sub(&s->set->waiting, 1, __ATOMIC_SEQ_CST);
	errno = error;
}

struct epoll_call {
	struct epoll_set *set; /* with a reference */
	const struct report *report;
	struct held_signals signals;
};

static void end_call(void *call)
{
	struct epoll_call *c = call;
	int error = errno;

	if (c->report->pass_on)
		nudge(c->set);
	epoll_set_put(c->set);
	signals_let_go(&c->signals);
	errno = error;
}

/* Both kinds, without waiting. In turn one of them comes first. */
static int both(struct epoll_set *set, int epoll, struct report *report, bool *busy)
{
	bool ours_first = (__atomic_fetch_add(&set->turn, 1, __ATOMIC_RELAXED) & 1) == 0;
	int before, others;

	if (ours_first)
		collect(set, report, busy);
	before = report->count;
	if (before == report->room)
		return before;
	others = real.epoll_wait(epoll, report->events + before, report->room - before, 0);
	if (others < 0)
		return before > 0 ? before : -1;
	filter(set, report, others, busy);
	/* A wake-up that is none of the program's: whoever sleeps would have got it. */
	if (report->count - before < others)
		report->pass_on = true;
	if (!ours_first)
		collect(set, report, busy);
	return report->count;
}

/* Sleeps once; the report has what the kernel reported, without our own wake-ups. -1 and errno. */
static int sleep_once(struct epoll_set *set, int epoll, struct report *report,
		      const struct deadline *deadline, const sigset_t *mask)
{
	struct epoll_sleep s = {.set = set};
	struct timespec left = {0, 0};
	bool limited = !deadline->never, busy = false;
	int count;

	__atomic_fetch_add(&set->waiting, 1, __ATOMIC_SEQ_CST);
	pthread_cleanup_push(wake_up, &s);
	epoll_set_arm(set, &s.arming, &busy);
	if (set_has_ready(set, &busy, 0)) {
		count = 0;
	} else {
		if (limited)
			left = deadline_left(deadline);
		if (busy && (!limited || left.tv_sec > 0 || left.tv_nsec > MOMENT)) {
			left = (struct timespec){0, MOMENT};
			limited = true;
		}
		count = real.epoll_pwait2(epoll, report->events, report->room,
					  limited ? &left : NULL, mask);
		if (count < 0 && errno == ENOSYS)
			count = real.epoll_pwait(epoll, report->events, report->room,
						 limited ? timespec_ms(&left) : -1, mask);
	}
	pthread_cleanup_pop(1);
	if (count < 0)
		return -1;
	filter(set, report, count, &busy);
	return 0;
}

/* Looks for a moment, if that saved a sleep lately. */
static int look_longer(struct epoll_set *set, int epoll, struct report *report,
		       const struct deadline *deadline)
{
	struct looking looking = {0};
	bool busy = false;
	int count;

	while (!deadline_over(deadline) && looking_goes_on(&looking)) {
		count = both(set, epoll, report, &busy);
		if (count != 0)
			return count;
	}
	return 0;
}

static int wait_loop(struct epoll_call *call, int epoll, struct report *report,
		     const struct timespec *timeout, const sigset_t *mask)
{
	struct epoll_set *set = call->set;
	struct deadline deadline;
	bool busy = false;
	int count = both(set, epoll, report, &busy);

	if (count != 0 || (timeout != NULL && timespec_zero(timeout)))
		return count;
	deadline = deadline_after(timeout);
	signals_hold(&call->signals);
	if (mask == NULL)
		mask = &call->signals.before;
	count = look_longer(set, epoll, report, &deadline);
	if (count != 0)
		return count;
	for (;;) {
		uint64_t since = clock_ns();
		bool over;

		if (sleep_once(set, epoll, report, &deadline, mask) < 0)
			return -1;
		over = deadline_over(&deadline);
		if (collect(set, report, &busy) > 0)
			looking_slept(clock_ns() - since);
		if (report->count > 0 || over)
			return report->count;
		if (signals_interrupt(mask))
			return -1;
	}
}

/* @set: with a reference, which is given back. */
static int wait_for(struct epoll_set *set, int epoll, struct epoll_event *events, int room,
		    const struct timespec *timeout, const sigset_t *mask)
{
	struct report report = {.events = events, .room = room};
	struct epoll_call call = {.set = set, .report = &report};
	int count;

	pthread_cleanup_push(end_call, &call);
	count = wait_loop(&call, epoll, &report, timeout, mask);
	pthread_cleanup_pop(1);
	return count;
}

static struct epoll_set *set_to_wait_for(int epoll, int room)
{
	if (!table_in_use() || room <= 0)
		return NULL;
	return epoll_set_get(epoll);
}

SHIM_EXPORT int epoll_pwait2(int epoll, struct epoll_event *events, int room,
			     const struct timespec *timeout, const sigset_t *mask)
{
	struct epoll_set *set = set_to_wait_for(epoll, room);

	if (set == NULL)
		return real.epoll_pwait2(epoll, events, room, timeout, mask);
	if (timeout != NULL && !timespec_valid(timeout)) {
		epoll_set_put(set);
		errno = EINVAL;
		return -1;
	}
	return wait_for(set, epoll, events, room, timeout, mask);
}

SHIM_EXPORT int epoll_pwait(int epoll, struct epoll_event *events, int room, int timeout,
			    const sigset_t *mask)
{
	struct timespec time = {timeout / 1000, timeout % 1000 * 1000000L};
	struct epoll_set *set = set_to_wait_for(epoll, room);

	if (set == NULL)
		return real.epoll_pwait(epoll, events, room, timeout, mask);
	return wait_for(set, epoll, events, room, timeout < 0 ? NULL : &time, mask);
}

SHIM_EXPORT int epoll_wait(int epoll, struct epoll_event *events, int room, int timeout)
{
	struct timespec time = {timeout / 1000, timeout % 1000 * 1000000L};
	struct epoll_set *set = set_to_wait_for(epoll, room);

	if (set == NULL)
		return real.epoll_wait(epoll, events, room, timeout);
	return wait_for(set, epoll, events, room, timeout < 0 ? NULL : &time, NULL);
}

/* ---- fork ---- */

void epoll_set_after_fork(void)
{
	struct epoll_set *set;

	for (set = sets; set != NULL; set = set->next) {
		pthread_mutex_init(&set->lock, NULL);
		set->waiting = 0;
	}
}
