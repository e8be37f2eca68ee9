/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll with ports in it. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

static void add(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	need(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void modify(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	need(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) == 0);
}

/* Exactly one event, or none for @events 0, without waiting. */
static void expect(int epoll, uint32_t events, uint64_t data)
{
	struct epoll_event got[8];
	int count = epoll_wait(epoll, got, 8, 0);

	need(count == (events != 0 ? 1 : 0));
	need(events == 0 || (got[0].events == events && got[0].data.u64 == data));
}

static void level(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), pipe_fds[2];
	struct epoll_event got[4];
	struct port a, b;

	switch_open(&a, &b);
	need(pipe(pipe_fds) == 0);
	add(epoll, pipe_fds[0], EPOLLIN, 1);
	add(epoll, b.fd, EPOLLIN, 2);
	expect(epoll, 0, 0);
	send_one(&a, 5);
	expect(epoll, EPOLLIN, 2);
	expect(epoll, EPOLLIN, 2);
	need(write(pipe_fds[1], "x", 1) == 1);
	need(epoll_wait(epoll, got, 4, -1) == 2);
	need(got[0].data.u64 + got[1].data.u64 == 3);
	receive(&b, 5);
	expect(epoll, EPOLLIN, 1);
	modify(epoll, b.fd, EPOLLOUT, 3);
	need(epoll_wait(epoll, got, 4, -1) == 2);
	need(epoll_ctl(epoll, EPOLL_CTL_DEL, b.fd, NULL) == 0);
	expect(epoll, EPOLLIN, 1);
}

static void errors(void)
{
	int epoll = epoll_create(1);
	struct epoll_event event = {.events = EPOLLIN};
	struct port a, b;

	switch_open(&a, &b);
	need_errno(ENOENT, epoll_ctl(epoll, EPOLL_CTL_MOD, b.fd, &event));
	need_errno(ENOENT, epoll_ctl(epoll, EPOLL_CTL_DEL, b.fd, &event));
	add(epoll, b.fd, EPOLLIN, 1);
	need_errno(EEXIST, epoll_ctl(epoll, EPOLL_CTL_ADD, b.fd, &event));
	need_errno(EFAULT, epoll_ctl(epoll, EPOLL_CTL_MOD, b.fd, NULL));
	need_errno(EINVAL, epoll_ctl(epoll, 77, b.fd, &event));
	need_errno(EINVAL, epoll_ctl(0, EPOLL_CTL_ADD, b.fd, &event));
	need_errno(EBADF, epoll_ctl(999, EPOLL_CTL_ADD, b.fd, &event));
	need_errno(EINVAL, epoll_wait(epoll, &event, 0, 0));
	/* A copy is another member. */
	add(epoll, dup(b.fd), EPOLLIN, 2);
}

static void edge(void)
{
	int epoll = epoll_create1(0);
	struct port a, b;

	switch_open(&a, &b);
	add(epoll, b.fd, EPOLLIN | EPOLLET, 4);
	expect(epoll, 0, 0);
	send_one(&a, 1);
	expect(epoll, EPOLLIN, 4);
	expect(epoll, 0, 0);
	send_one(&a, 2);
	expect(epoll, EPOLLIN, 4);
	receive(&b, 1);
	receive(&b, 2);
	expect(epoll, 0, 0);
	send_one(&a, 3);
	expect(epoll, EPOLLIN, 4);
	modify(epoll, b.fd, EPOLLIN | EPOLLET, 5);
	expect(epoll, EPOLLIN, 5);
	expect(epoll, 0, 0);
}

/* The ring's tail is where it was when it was reported, a whole round later. */
static void edge_comes_round(void)
{
	int epoll = epoll_create1(0);
	struct port a, b;
	uint32_t i;

	switch_open(&a, &b);
	add(epoll, b.fd, EPOLLIN | EPOLLET, 4);
	send_one(&a, 1);
	expect(epoll, EPOLLIN, 4);
	receive(&b, 1);
	for (i = 1; i < b.rx->num_slots; i++) {
		send_one(&a, i);
		receive(&b, i);
	}
	expect(epoll, 0, 0);
	send_one(&a, 2);
	expect(epoll, EPOLLIN, 4);
}

/* A REGISTER that fails at its last step leaves nothing that the epoll would look at. */
static void edge_without_a_port(void)
{
	int epoll = epoll_create1(0), fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	struct nmreq_option option = {.nro_reqtype = 77};
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_header header = {.nr_version = NETMAP_API,
				      .nr_reqtype = NETMAP_REQ_REGISTER,
				      .nr_options = (uintptr_t)&option,
				      .nr_body = (uintptr_t)&reg};

	snprintf(header.nr_name, sizeof(header.nr_name), "vale%s:u", name_suffix);
	add(epoll, fd, EPOLLIN | EPOLLET, 4);
	need_errno(EOPNOTSUPP, ioctl(fd, NIOCCTRL, &header));
	expect(epoll, EPOLLERR, 4);
	expect(epoll, 0, 0);
	need(port_bind(fd, "vale~:u", 0, &reg) == 0);
	expect(epoll, 0, 0);
}

static void one_shot(void)
{
	int epoll = epoll_create1(0);
	struct port a, b;

	switch_open(&a, &b);
	add(epoll, b.fd, EPOLLIN | EPOLLONESHOT, 4);
	send_one(&a, 1);
	expect(epoll, EPOLLIN, 4);
	expect(epoll, 0, 0);
	send_one(&a, 2);
	expect(epoll, 0, 0);
	modify(epoll, b.fd, EPOLLIN | EPOLLONESHOT, 5);
	expect(epoll, EPOLLIN, 5);
	expect(epoll, 0, 0);
}

/* With room for one event both get their turn. */
static void fairness(void)
{
	int epoll = epoll_create1(0), pipe_fds[2], i, seen[4] = {0};
	struct epoll_event got;
	struct port a, b, c;

	switch_open(&a, &b);
	c = port_open("vale~:c", 0);
	need(pipe(pipe_fds) == 0);
	need(write(pipe_fds[1], "x", 1) == 1);
	send_one(&a, 1); /* to both */
	add(epoll, pipe_fds[0], EPOLLIN, 1);
	add(epoll, b.fd, EPOLLIN, 2);
	add(epoll, c.fd, EPOLLIN, 3);
	for (i = 0; i < 12; i++) {
		need(epoll_wait(epoll, &got, 1, -1) == 1);
		seen[got.data.u64]++;
	}
	need(seen[1] >= 3 && seen[2] >= 2 && seen[3] >= 2);
}

/* ---- sleeping ---- */

struct sender {
	struct port *port;
	int sleeper;
};

static void *send_when_asleep(void *argument)
{
	struct sender *sender = argument;

	await_sleep(sender->sleeper);
	send_one(sender->port, 9);
	return NULL;
}

static void sleep_until_packet(int waiting_for, bool with_poll, struct port *a, uint64_t data)
{
	struct sender sender = {a, (int)syscall(SYS_gettid)};
	struct epoll_event got[4];
	pthread_t thread;

	need(pthread_create(&thread, NULL, send_when_asleep, &sender) == 0);
	if (with_poll) {
		struct pollfd fd = {waiting_for, POLLIN, 0};

		need(poll(&fd, 1, -1) == 1 && fd.revents == POLLIN);
	} else {
		need(epoll_wait(waiting_for, got, 4, -1) == 1);
		need(got[0].data.u64 == data && got[0].events == EPOLLIN);
	}
	need(pthread_join(thread, NULL) == 0);
}

static void sleeping(void)
{
	int epoll = epoll_create1(0);
	struct timespec short_time = {0, 1500};
	struct epoll_event got;
	struct port a, b;
	int i;

	switch_open(&a, &b);
	add(epoll, b.fd, EPOLLIN, 6);
	for (i = 0; i < 10; i++) {
		sleep_until_packet(epoll, false, &a, 6);
		receive(&b, 9);
		sleep_until_packet(epoll, true, &a, 6);
		receive(&b, 9);
	}
	need(epoll_pwait2(epoll, &got, 1, &short_time, NULL) == 0);
	need(epoll_wait(epoll, &got, 1, 2) == 0);
}

static void nested(void)
{
	int inner = epoll_create1(0), outer = epoll_create1(0), first = epoll_create1(0),
	    pipe_fds[2];
	struct port a, b;

	switch_open(&a, &b);
	need(pipe(pipe_fds) == 0);
	/* One that is in another before and one after a port is put into it. */
	add(first, inner, EPOLLIN, 1);
	add(inner, b.fd, EPOLLIN, 2);
	add(inner, pipe_fds[0], EPOLLIN, 3);
	add(outer, inner, EPOLLIN, 4);
	expect(outer, 0, 0);
	expect(first, 0, 0);
	sleep_until_packet(outer, false, &a, 4);
	expect(outer, EPOLLIN, 4);
	expect(first, EPOLLIN, 1);
	expect(inner, EPOLLIN, 2);
	receive(&b, 9);
	expect(outer, 0, 0);
	expect(first, 0, 0);
	sleep_until_packet(first, false, &a, 1);
	receive(&b, 9);
	sleep_until_packet(outer, true, &a, 0);
	receive(&b, 9);
	need(write(pipe_fds[1], "x", 1) == 1);
	expect(outer, EPOLLIN, 4);
	expect(inner, EPOLLIN, 3);
}

/* Each packet is news to whom the epoll is edge-triggered. */
static void nested_edge(void)
{
	int inner = epoll_create1(0), outer = epoll_create1(0), i;
	struct port a, b;

	switch_open(&a, &b);
	add(inner, b.fd, EPOLLIN, 2);
	add(outer, inner, EPOLLIN | EPOLLET, 4);
	expect(outer, 0, 0);
	send_one(&a, 1);
	expect(outer, EPOLLIN, 4);
	expect(outer, 0, 0);
	send_one(&a, 2);
	expect(outer, EPOLLIN, 4);
	expect(outer, 0, 0);
	receive(&b, 1);
	receive(&b, 2);
	send_one(&a, 3);
	expect(outer, EPOLLIN, 4);
	receive(&b, 3);
	for (i = 0; i < 10; i++) {
		sleep_until_packet(outer, false, &a, 4);
		expect(outer, 0, 0);
		if (i % 2 == 0)
			receive(&b, 9);
	}
}

static void nested_one_shot(void)
{
	int inner = epoll_create1(0), outer = epoll_create1(0), i;
	struct port a, b;

	switch_open(&a, &b);
	add(inner, b.fd, EPOLLIN, 2);
	add(outer, inner, EPOLLIN | EPOLLONESHOT, 4);
	for (i = 0; i < 10; i++) {
		sleep_until_packet(outer, false, &a, 4);
		expect(outer, 0, 0);
		send_one(&a, 8);
		expect(outer, 0, 0);
		modify(outer, inner, EPOLLIN | EPOLLONESHOT, 4);
		expect(outer, EPOLLIN, 4);
		expect(outer, 0, 0);
		receive(&b, 9);
		receive(&b, 8);
		modify(outer, inner, EPOLLIN | EPOLLONESHOT, 4);
	}
}

#define ROUNDS 30000

static void *echo(void *port)
{
	volatile uint32_t delay;
	uint32_t i;

	for (i = 0; i < ROUNDS; i++) {
		receive(port, i);
		for (delay = i % 5000; delay > 0; delay--)
			;
		send_one(port, i);
	}
	return NULL;
}

/* A packet that comes while one is about to sleep wakes up all the same. */
static void polled_in_a_hurry(void)
{
	int epoll = epoll_create1(0);
	struct pollfd fd = {epoll, POLLIN, 0};
	struct port a, b;
	pthread_t thread;
	uint32_t i, got;

	pipe_open(&a, &b);
	add(epoll, a.fd, EPOLLIN, 4);
	need(pthread_create(&thread, NULL, echo, &b) == 0);
	for (i = 0; i < ROUNDS; i++) {
		send_one(&a, i);
		do {
			need(poll(&fd, 1, 20000) == 1);
			need(ioctl(a.fd, NIOCRXSYNC, NULL) == 0);
		} while (!take(&a, &got));
		need(got == i);
	}
	need(pthread_join(thread, NULL) == 0);
}

static void added_while_somebody_waits(void)
{
	int epoll = epoll_create1(0);
	struct port a, b, c;
	pthread_t thread;
	struct epoll_event got;
	struct sender sender = {&a, (int)syscall(SYS_gettid)};

	switch_open(&a, &b);
	c = port_open("vale~:c", 0);
	add(epoll, c.fd, EPOLLOUT | EPOLLONESHOT, 1);
	need(epoll_wait(epoll, &got, 1, -1) == 1);
	/* c's event has been had; the thread waits for b, which is added beside it. */
	need(pthread_create(&thread, NULL, send_when_asleep, &sender) == 0);
	add(epoll, b.fd, EPOLLIN, 2);
	need(epoll_wait(epoll, &got, 1, -1) == 1 && got.data.u64 == 2);
	need(pthread_join(thread, NULL) == 0);
}

static void *wait_for_one(void *epoll)
{
	struct epoll_event got;

	need(epoll_wait(*(int *)epoll, &got, 1, -1) == 1 && got.data.u64 == 2);
	return NULL;
}

/* Level-triggered: each who waits learns of it. */
static void several_wait(void)
{
	int epoll = epoll_create1(0), i;
	pthread_t threads[4];
	struct port a, b;

	switch_open(&a, &b);
	add(epoll, b.fd, EPOLLIN, 2);
	for (i = 0; i < 4; i++)
		need(pthread_create(&threads[i], NULL, wait_for_one, &epoll) == 0);
	send_one(&a, 1);
	for (i = 0; i < 4; i++)
		need(pthread_join(threads[i], NULL) == 0);
}

static void closed_members_leave(void)
{
	int epoll = epoll_create1(0), copy;
	struct port a, b;

	switch_open(&a, &b);
	add(epoll, b.fd, EPOLLIN, 2);
	send_one(&a, 1);
	expect(epoll, EPOLLIN, 2);
	/* As with any file: it is a member until its last copy is closed. */
	copy = dup(b.fd);
	need(close(b.fd) == 0);
	expect(epoll, EPOLLIN, 2);
	need(close(copy) == 0);
	expect(epoll, 0, 0);
	/* And epolls can be closed and copied. */
	copy = dup(epoll);
	close(epoll);
	add(copy, a.fd, EPOLLOUT, 3);
	expect(copy, EPOLLOUT, 3);
	close(copy);
	need_errno(EBADF, epoll_wait(copy, &(struct epoll_event){0}, 1, 0));
}

/* A closed epoll leaves the epolls that it was in, and takes along what was in it. */
static void closed_epolls_leave(void)
{
	int inner = epoll_create1(0), outer = epoll_create1(0), copy;
	struct pollfd fd = {outer, POLLIN, 0};
	struct port a, b;

	switch_open(&a, &b);
	add(inner, b.fd, EPOLLIN, 2);
	add(outer, inner, EPOLLIN, 4);
	send_one(&a, 1);
	expect(outer, EPOLLIN, 4);
	copy = dup(inner);
	need(close(inner) == 0);
	expect(outer, EPOLLIN, 4);
	need(close(copy) == 0);
	expect(outer, 0, 0);
	need(poll(&fd, 1, 0) == 0);
	/* Its number is free for another one. */
	inner = epoll_create1(0);
	add(outer, inner, EPOLLIN, 5);
	expect(outer, 0, 0);
	add(inner, b.fd, EPOLLIN, 2);
	expect(outer, EPOLLIN, 5);
}

const struct test epoll_tests[] = {
	{"epoll-level", level},
	{"epoll-errors", errors},
	{"epoll-edge", edge},
	{"epoll-edge-comes-round", edge_comes_round},
	{"epoll-edge-without-a-port", edge_without_a_port},
	{"epoll-one-shot", one_shot},
	{"epoll-fairness", fairness},
	{"epoll-sleeping", sleeping},
	{"epoll-nested", nested},
	{"epoll-nested-edge", nested_edge},
	{"epoll-nested-one-shot", nested_one_shot},
	{"epoll-polled-in-a-hurry", polled_in_a_hurry},
	{"epoll-added-while-somebody-waits", added_while_somebody_waits},
	{"epoll-several-wait", several_wait},
	{"epoll-closed-members-leave", closed_members_leave},
	{"epoll-closed-epolls-leave", closed_epolls_leave},
	{NULL, NULL},
};
