/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A real ptnetd, started as a child with a configuration, sockets and a log of its
 * own in a new directory under /tmp, and what can be asked of it from outside: its
 * control socket, its descriptors, memory and context switches.
 *
 * The program is $PTNETD, else src/ptnetd in $PTNET_BUILD (build/ if that is not
 * set). Functions that can fail print why, with the daemon's log.
 */
#ifndef CLIENT_DAEMON_H
#define CLIENT_DAEMON_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "endpoint.h"

struct daemon {
	pid_t pid;
	char directory[64];
	char control_path[100];
	int control; /* our connection to it */
	int log_fd;
	pthread_t log_reader;
	pthread_mutex_t lock;
	pthread_cond_t grew;
	char *log; /* under lock */
	size_t log_size;
	bool log_ended;
};

/*
 * Starts a daemon with @config (JSON text: "ports", "pipes", "engine" and so on;
 * "control" and "sockets" are added) and waits until it is ready. 0 or -1.
 */
int daemon_start(struct daemon *daemon, const char *config);
/*
 * Ends it with SIGTERM. 0 if it went with status 0, without a sanitizer's report,
 * and took its sockets with it; else -1.
 */
int daemon_stop(struct daemon *daemon);
void daemon_print_log(struct daemon *daemon);
/* How often @words are in the log so far. */
unsigned daemon_log_count(struct daemon *daemon, const char *words);
/* Waits until @words have been logged more than @before times. 0, or -1 after 20 s. */
int daemon_wait_log(struct daemon *daemon, const char *words, unsigned before);

/* One request on the control socket; @arguments is taken over, may be NULL. The result or NULL. */
json_t *daemon_request(struct daemon *daemon, const char *command, json_t *arguments);
int daemon_port_paths(struct daemon *daemon, const char *port, struct port_paths *paths);

/* A counter of one ring, by its name; @direction "tx" or "rx". -1: there is none. */
int64_t daemon_ring_counter(struct daemon *daemon, const char *port, const char *direction,
			    unsigned index, const char *counter);
/* The same, summed over all rings of the port. */
int64_t daemon_port_counter(struct daemon *daemon, const char *port, const char *counter);
/* How many rings of the port are stopped for this reason. */
int daemon_rings_with_fault(struct daemon *daemon, const char *port, const char *fault);
/* A number of the port's attachment: "connections", or an error by its name. -1: none. */
int64_t daemon_attachment_counter(struct daemon *daemon, const char *port, const char *name);
/* The same of the socket of the region that the port lies in; "connections" are those of now. */
int64_t daemon_memory_counter(struct daemon *daemon, const char *port, const char *name);

/* From /proc. Descriptors: without pipes if it was built with a sanitizer, which may open some. */
unsigned daemon_num_fds(const struct daemon *daemon);
/* Pages that it has for itself, and those of regions and guests' RAM that it has touched. */
uint64_t daemon_own_memory_kb(const struct daemon *daemon);
uint64_t daemon_shared_memory_kb(const struct daemon *daemon);
/* Built with a sanitizer: memory grows by its rules, and it may have a thread of its own. */
bool daemon_is_sanitized(const struct daemon *daemon);
/* CPU time of all its threads so far. */
uint64_t daemon_cpu_ns(const struct daemon *daemon);

struct daemon_thread {
	pid_t tid;
	char name[16];
	bool asleep; /* until something wakes it: neither running nor waiting for a CPU */
	uint64_t voluntary, involuntary; /* context switches */
};
/* Fills at most @capacity, returns how many there are; a sanitizer's own is left out. */
unsigned daemon_threads(const struct daemon *daemon, struct daemon_thread *threads,
			unsigned capacity);
/*
 * Waits until all threads of the daemon are asleep and none has been woken for 200 ms. 0, or -1
 * after 20 s.
 */
int daemon_wait_quiet(const struct daemon *daemon);
/*
 * Waits until every ring that had been kicked has had a turn, however busy the workers are with
 * others. 0 or -1.
 */
int daemon_wait_turn(struct daemon *daemon);

/*
 * Stops all its threads where they are; returns when they stand. 0 or -1. daemon_thaw() lets
 * them go on; a sleep of theirs is over then.
 */
int daemon_freeze(const struct daemon *daemon);
void daemon_thaw(const struct daemon *daemon);

#endif
