/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of host programs share: ports, packets, and saying what is wrong. Nothing here
 * knows of the shim; a test may look for what a program can see of it, such as descriptors of which
 * it does not know.
 */
#ifndef PTNET_TESTS_HOST_H
#define PTNET_TESTS_HOST_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define NETMAP_WITH_LIBS /* for NETMAP_TXRING() and the like */
#include <net/netmap_user.h>

struct test {
	const char *name;
	void (*run)(void);
};

/* Each ends with an entry without a name. */
extern const struct test wait_tests[];
extern const struct test epoll_tests[];
extern const struct test event_tests[];
extern const struct test descriptor_tests[];
extern const struct test process_tests[];

/* Ends the test if it is not so. */
#define need(condition) need_at(condition, #condition, __FILE__, __LINE__)
void need_at(bool condition, const char *what, const char *file, int line);
/* The call must fail with this errno. */
#define need_errno(wanted, call) need_errno_at(wanted, (long)(call), #call, __FILE__, __LINE__)
void need_errno_at(int wanted, long result, const char *what, const char *file, int line);

struct port {
	int fd;
	char *memory;
	size_t size;
	struct netmap_if *nifp;
	struct netmap_ring *tx, *rx;
};

/* What "~" in a name becomes; differs between tests. */
extern char name_suffix[16];

/* A bound and mapped port of one ring pair; "~" in the name is replaced. */
struct port port_open(const char *name, uint64_t flags);
void port_close(struct port *port);
/* The same for a descriptor that somebody else has bound. */
struct port port_adopt(int fd, uint64_t offset, size_t size);
/* Two ends: of a pipe, or two ports of a switch. */
void pipe_open(struct port *a, struct port *b);
void switch_open(struct port *a, struct port *b);
/* REGISTER on a descriptor. */
int port_bind(int fd, const char *name, uint64_t flags, struct nmreq_register *reg);

/* Puts a packet that carries @number into the ring; it is on its way after a sync or a poll(). */
void put(struct port *port, uint32_t number);
/* put() and NIOCTXSYNC. */
void send_one(struct port *port, uint32_t number);
/* Takes the next packet out of the ring; false: there is none. Does not sync. */
bool take(struct port *port, uint32_t *number);
/* The next packet must be this; polls until it comes. */
void receive(struct port *port, uint32_t number);

/* Sends one packet with @number from @a to @b and one back. */
void check_traffic(struct port *a, struct port *b, uint32_t number);

/* Waits until @thread_id of this process sleeps. */
void await_sleep(int thread_id);

#endif
