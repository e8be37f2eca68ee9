/* SPDX-License-Identifier: BSD-2-Clause */
/* poll() and select() with a port among other descriptors. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

/* ---- somebody who does something as soon as the main thread sleeps ---- */

struct later {
	pthread_t thread;
	int sleeper;
	void (*action)(void *argument);
	void *argument;
};

static void *wait_and_act(void *argument)
{
	struct later *later = argument;

	await_sleep(later->sleeper);
	later->action(later->argument);
	return NULL;
}

static void when_asleep(struct later *later, void (*action)(void *), void *argument)
{
	*later = (struct later){
		.sleeper = (int)syscall(SYS_gettid), .action = action, .argument = argument};
	need(pthread_create(&later->thread, NULL, wait_and_act, later) == 0);
}

static void finish(struct later *later)
{
	need(pthread_join(later->thread, NULL) == 0);
}

static void send_seven(void *port)
{
	send_one(port, 7);
}

static void write_byte(void *fd)
{
	need(write(*(int *)fd, "x", 1) == 1);
}

/* ---- poll ---- */

static void poll_sleeps_until_a_packet_comes(void)
{
	struct later later;
	struct port a, b;
	int pipe_fds[2];

	switch_open(&a, &b);
	need(pipe(pipe_fds) == 0);
	struct pollfd fds[] = {{pipe_fds[0], POLLIN, 0}, {b.fd, POLLIN, 0}, {-1, POLLIN, 99}};

	when_asleep(&later, send_seven, &a);
	need(poll(fds, 3, -1) == 1);
	finish(&later);
	need(fds[0].revents == 0 && fds[1].revents == POLLIN && fds[2].revents == 0);
	receive(&b, 7);
}

static void poll_sleeps_until_another_descriptor_is_ready(void)
{
	struct later later;
	struct port a, b;
	int pipe_fds[2];

	switch_open(&a, &b);
	need(pipe(pipe_fds) == 0);
	struct pollfd fds[] = {{pipe_fds[0], POLLIN, 0}, {b.fd, POLLIN, 0}};

	when_asleep(&later, write_byte, &pipe_fds[1]);
	need(poll(fds, 2, -1) == 1);
	finish(&later);
	need(fds[0].revents == POLLIN && fds[1].revents == 0);
	/* Both at once. */
	send_one(&a, 8);
	need(poll(fds, 2, -1) == 2);
	need(fds[0].revents == POLLIN && fds[1].revents == POLLIN);
	/* One that is not open doesn't hide the others. */
	close(pipe_fds[0]);
	need(poll(fds, 2, 0) == 2);
	need(fds[0].revents == POLLNVAL && fds[1].revents == POLLIN);
}

static void poll_many(void)
{
	struct pollfd fds[300];
	struct later later;
	struct port a, b;
	int pipe_fds[2], i;

	switch_open(&a, &b);
	need(pipe(pipe_fds) == 0);
	for (i = 0; i < 300; i++)
		fds[i] = (struct pollfd){i % 2 == 0 ? pipe_fds[0] : b.fd, POLLIN, 0};
	when_asleep(&later, send_seven, &a);
	need(poll(fds, 300, -1) > 0);
	finish(&later);
	need(poll(fds, 300, 0) == 150);
	for (i = 0; i < 300; i++)
		need(fds[i].revents == (i % 2 == 0 ? 0 : POLLIN));
}

static void poll_for_no_longer_than_said(void)
{
	struct timespec start, end, wait = {0, 20000500};
	struct port a, b;

	switch_open(&a, &b);
	struct pollfd fd = {b.fd, POLLIN, 0};

	clock_gettime(CLOCK_MONOTONIC, &start);
	need(ppoll(&fd, 1, &wait, NULL) == 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	need((end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec >= 20000500);
	need(poll(&fd, 1, 0) == 0);
	wait.tv_nsec = 1000000000;
	need_errno(EINVAL, ppoll(&fd, 1, &wait, NULL));
}

/* Room comes back when the receiver has released slots: the sender sleeps until then. */
static void take_all(void *argument)
{
	struct port *b = argument;
	uint32_t number;

	need(ioctl(b->fd, NIOCRXSYNC, NULL) == 0);
	while (take(b, &number))
		;
	need(ioctl(b->fd, NIOCRXSYNC, NULL) == 0);
}

static void poll_for_room(void)
{
	struct later later;
	struct port a, b;
	uint32_t number = 0;

	pipe_open(&a, &b);
	struct pollfd fd = {a.fd, POLLOUT, 0};

	while (a.tx->head != a.tx->tail)
		put(&a, number++);
	need(number == a.tx->num_slots - 1);
	need(poll(&fd, 1, 0) == 0);
	when_asleep(&later, take_all, &b);
	need(poll(&fd, 1, -1) == 1 && fd.revents == POLLOUT);
	finish(&later);
	need(a.tx->head != a.tx->tail);
}

static void nothing(int signal)
{
	(void)signal;
}

static void kill_self(void *thread)
{
	pthread_kill(*(pthread_t *)thread, SIGUSR1);
}

static void poll_is_interrupted(void)
{
	struct sigaction action = {.sa_handler = nothing};
	pthread_t self = pthread_self();
	struct later later;
	struct port a, b;
	sigset_t mask, none;
	struct timespec zero = {0, 0};
	int epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};

	need(sigaction(SIGUSR1, &action, NULL) == 0);
	switch_open(&a, &b);
	struct pollfd fd = {b.fd, POLLIN, 0};

	when_asleep(&later, kill_self, &self);
	need_errno(EINTR, poll(&fd, 1, -1));
	finish(&later);
	/* The mask and the sleep are one: the signal is there already, but blocked outside. */
	sigemptyset(&none);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	need(pthread_sigmask(SIG_BLOCK, &mask, NULL) == 0);
	need(pthread_kill(self, SIGUSR1) == 0);
	need_errno(EINTR, ppoll(&fd, 1, NULL, &none));
	need(pthread_kill(self, SIGUSR1) == 0);
	fd_set in;
	FD_ZERO(&in);
	FD_SET(b.fd, &in);
	need_errno(EINTR, pselect(b.fd + 1, &in, NULL, NULL, NULL, &none));
	need(epoll_ctl(epoll, EPOLL_CTL_ADD, b.fd, &event) == 0);
	need(pthread_kill(self, SIGUSR1) == 0);
	need_errno(EINTR, epoll_pwait(epoll, &event, 1, -1, &none));
	/* Also for who never sleeps. (epoll_pwait() that doesn't sleep leaves it for later.) */
	need(pthread_kill(self, SIGUSR1) == 0);
	need_errno(EINTR, ppoll(&fd, 1, &zero, &none));
	need(pthread_kill(self, SIGUSR1) == 0);
	need_errno(EINTR, pselect(b.fd + 1, &in, NULL, NULL, &zero, &none));
	need(ppoll(&fd, 1, &zero, &none) == 0);
	/* It goes on working. */
	check_traffic(&a, &b, 1);
}

/* A handler that polls while it interrupts a poll(). */
static struct port *polled_by_handler;
static int handler_result;

static void poll_in_handler(int signal)
{
	struct pollfd fd = {polled_by_handler->fd, POLLIN, 0};

	(void)signal;
	handler_result = poll(&fd, 1, 1);
}

static void poll_in_a_signal_handler(void)
{
	struct sigaction action = {.sa_handler = poll_in_handler};
	pthread_t self = pthread_self();
	struct later later;
	struct port a, b;
	int i;

	switch_open(&a, &b);
	polled_by_handler = &b;
	need(sigaction(SIGUSR1, &action, NULL) == 0);
	struct pollfd fd = {b.fd, POLLIN, 0};

	for (i = 0; i < 20; i++) {
		handler_result = -1;
		when_asleep(&later, kill_self, &self);
		need_errno(EINTR, poll(&fd, 1, -1));
		finish(&later);
		need(handler_result == 0);
	}
	check_traffic(&a, &b, 1);
}

/* ---- select ---- */

static void select_like_poll(void)
{
	struct timeval timeout = {5, 0};
	struct later later;
	struct port a, b;
	int pipe_fds[2], last;
	fd_set in, out, except;

	switch_open(&a, &b);
	need(pipe(pipe_fds) == 0);
	last = pipe_fds[1] > b.fd ? pipe_fds[1] : b.fd;
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(b.fd, &in);
	FD_SET(pipe_fds[0], &in);
	FD_SET(b.fd, &except);
	when_asleep(&later, send_seven, &a);
	need(select(last + 1, &in, &out, &except, NULL) == 1);
	finish(&later);
	need(FD_ISSET(b.fd, &in) && !FD_ISSET(pipe_fds[0], &in) && !FD_ISSET(b.fd, &except));

	FD_SET(pipe_fds[0], &in);
	FD_SET(pipe_fds[1], &out);
	FD_SET(a.fd, &out);
	need(select(last + 1, &in, &out, NULL, &timeout) == 3);
	need(FD_ISSET(b.fd, &in) && FD_ISSET(a.fd, &out) && FD_ISSET(pipe_fds[1], &out));
	need(timeout.tv_sec < 5 || timeout.tv_usec == 0);
	receive(&b, 7);

	FD_ZERO(&in);
	FD_SET(b.fd, &in);
	timeout = (struct timeval){0, 1000};
	need(select(last + 1, &in, NULL, NULL, &timeout) == 0);
	need(!FD_ISSET(b.fd, &in) && timeout.tv_sec == 0 && timeout.tv_usec == 0);
	FD_SET(b.fd, &in);
	FD_SET(pipe_fds[0], &in);
	close(pipe_fds[0]);
	need_errno(EBADF, select(last + 1, &in, NULL, NULL, NULL));
	timeout.tv_usec = -1;
	need_errno(EINVAL, select(last + 1, &in, NULL, NULL, &timeout));
}

/* ---- threads ---- */

#define ROUNDS 5000

static void *answer(void *port)
{
	uint32_t i;

	for (i = 0; i < ROUNDS; i++) {
		receive(port, i);
		send_one(port, i);
	}
	return NULL;
}

static void ping_pong(void)
{
	struct port a, b;
	pthread_t thread;
	uint32_t i;

	pipe_open(&a, &b);
	need(pthread_create(&thread, NULL, answer, &b) == 0);
	for (i = 0; i < ROUNDS; i++) {
		/* poll(POLLIN) sends, too. */
		put(&a, i);
		receive(&a, i);
	}
	need(pthread_join(thread, NULL) == 0);
}

/* Two threads that only poll beside the one that works: nobody's wake-up gets lost. */
static bool stop_polling;

static void *only_poll(void *port)
{
	struct pollfd fd = {((struct port *)port)->fd, POLLIN | POLLOUT, 0};

	while (!__atomic_load_n(&stop_polling, __ATOMIC_RELAXED))
		need(poll(&fd, 1, 1) >= 0 && (fd.revents & POLLERR) == 0);
	return NULL;
}

static void threads_share_a_descriptor(void)
{
	pthread_t thread, pollers[2];
	struct port a, b;
	uint32_t i;

	pipe_open(&a, &b);
	need(pthread_create(&pollers[0], NULL, only_poll, &a) == 0);
	need(pthread_create(&pollers[1], NULL, only_poll, &b) == 0);
	need(pthread_create(&thread, NULL, answer, &b) == 0);
	for (i = 0; i < ROUNDS; i++) {
		send_one(&a, i);
		receive(&a, i);
	}
	need(pthread_join(thread, NULL) == 0);
	__atomic_store_n(&stop_polling, true, __ATOMIC_RELAXED);
	need(pthread_join(pollers[0], NULL) == 0 && pthread_join(pollers[1], NULL) == 0);
}

static void *poll_for_ever(void *port)
{
	struct pollfd fd = {((struct port *)port)->fd, POLLIN, 0};

	poll(&fd, 1, -1);
	return (void *)1;
}

static void *select_for_ever(void *port)
{
	fd_set in;

	FD_ZERO(&in);
	FD_SET(((struct port *)port)->fd, &in);
	select(FD_SETSIZE, &in, NULL, NULL, NULL);
	return (void *)1;
}

/* Pages of the process. */
static unsigned long memory_size(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages;

	need(file != NULL);
	need(fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return pages;
}

static void cancelled_threads_leave_no_trace(void)
{
	unsigned long pages = 0;
	struct port a, b;
	pthread_t thread;
	void *result;
	int i;

	switch_open(&a, &b);
	for (i = 0; i < 200; i++) {
		void *(*wait)(void *port) = i % 4 < 2 ? poll_for_ever : select_for_ever;

		if (i == 20) /* stacks are kept for the next threads */
			pages = memory_size();
		need(pthread_create(&thread, NULL, wait, &b) == 0);
		if (i % 2 == 0)
			sched_yield();
		need(pthread_cancel(thread) == 0);
		need(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
	}
	check_traffic(&a, &b, 1);
	/* Descriptors of theirs would stay open, and memory in use. */
	need(dup(0) < 20);
	need(memory_size() < pages + 90);
}

static void close_it(void *port)
{
	need(close(((struct port *)port)->fd) == 0);
}

/* What happens then is nobody's to rely on, but it must end. */
static void closed_under_a_sleeper(void)
{
	struct later later;
	struct port a, b;

	switch_open(&a, &b);
	struct pollfd fd = {b.fd, POLLIN, 0};

	when_asleep(&later, close_it, &b);
	poll(&fd, 1, -1);
	finish(&later);
}

/* ---- who wakes up late ---- */

static int entered[2], leave[2];

static void stay(int signal)
{
	char byte = 0;

	(void)signal;
	need(write(entered[1], &byte, 1) == 1);
	need(read(leave[0], &byte, 1) == 1);
}

struct late {
	int fd, thread_id;
};

static void *wake_up_late(void *argument)
{
	struct late *late = argument;
	struct pollfd fd = {late->fd, POLLIN, 0};

	__atomic_store_n(&late->thread_id, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	poll(&fd, 1, -1);
	usleep(1); /* ThreadSanitizer may run the handler no sooner */
	return NULL;
}

/* One ring pair of a port that has two; -1 and errno. */
static int open_ring(uint16_t ring, uint64_t flags)
{
	struct nmreq_register reg = {.nr_tx_rings = 2,
				     .nr_rx_rings = 2,
				     .nr_ringid = ring,
				     .nr_mode = NR_REG_ONE_NIC,
				     .nr_flags = flags};
	struct nmreq_header header = {.nr_version = NETMAP_API,
				      .nr_reqtype = NETMAP_REQ_REGISTER,
				      .nr_body = (uintptr_t)&reg};
	int fd = open(NETMAP_DEVICE_NAME, O_RDWR);

	snprintf(header.nr_name, sizeof(header.nr_name), "vale%s:r", name_suffix);
	need(fd >= 0);
	if (ioctl(fd, NIOCCTRL, &header) == 0)
		return fd;
	need(errno == EBUSY && close(fd) == 0);
	return -1;
}

/*
 * A ring is closed under a thread that sleeps on it, and has a new user before the thread goes on:
 * whom it counts among the sleepers is not him.
 */
static void sleeper_wakes_up_late(void)
{
	struct sigaction action = {.sa_handler = stay};
	struct port a = port_open("vale~:a", 0);
	struct late late = {.fd = -1};
	struct later later;
	pthread_t thread;
	char byte;

	need(open_ring(1, 0) >= 0); /* the port stays as it is */
	late.fd = open_ring(0, NR_EXCLUSIVE);
	need(pipe(entered) == 0 && pipe(leave) == 0);
	need(sigaction(SIGUSR1, &action, NULL) == 0);
	need(pthread_create(&thread, NULL, wake_up_late, &late) == 0);
	while (__atomic_load_n(&late.thread_id, __ATOMIC_ACQUIRE) == 0)
		sched_yield();
	await_sleep(late.thread_id);
	need(pthread_kill(thread, SIGUSR1) == 0);
	need(read(entered[0], &byte, 1) == 1);
	need(close(late.fd) == 0);
	struct pollfd fd = {-1, POLLIN, 0};

	while (fd.fd < 0)
		fd.fd = open_ring(0, NR_EXCLUSIVE);
	need(write(leave[1], &byte, 1) == 1);
	need(pthread_join(thread, NULL) == 0);
	when_asleep(&later, send_seven, &a);
	need(poll(&fd, 1, -1) == 1 && fd.revents == POLLIN);
	finish(&later);
}

const struct test wait_tests[] = {
	{"poll-sleeps-until-a-packet-comes", poll_sleeps_until_a_packet_comes},
	{"poll-sleeps-until-another-is-ready", poll_sleeps_until_another_descriptor_is_ready},
	{"poll-many", poll_many},
	{"poll-for-no-longer-than-said", poll_for_no_longer_than_said},
	{"poll-for-room", poll_for_room},
	{"poll-is-interrupted", poll_is_interrupted},
	{"poll-in-a-signal-handler", poll_in_a_signal_handler},
	{"select-like-poll", select_like_poll},
	{"ping-pong", ping_pong},
	{"threads-share-a-descriptor", threads_share_a_descriptor},
	{"cancelled-threads", cancelled_threads_leave_no_trace},
	{"closed-under-a-sleeper", closed_under_a_sleeper},
	{"sleeper-wakes-up-late", sleeper_wakes_up_late},
	{NULL, NULL},
};
