/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that leaves waiting to libevent, with each of its methods. */
#include <event2/event.h>
#include <pthread.h>
#include <string.h>

#include "host.h"

#define PACKETS 3000

struct receiver {
	struct event_base *base;
	struct port *port;
	uint32_t next;
};

static void on_packets(evutil_socket_t fd, short what, void *argument)
{
	struct receiver *receiver = argument;
	uint32_t number;

	(void)fd;
	need(what == EV_READ);
	while (take(receiver->port, &number))
		need(number == receiver->next++);
	if (receiver->next == PACKETS)
		event_base_loopbreak(receiver->base);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	(void)argument;
}

static void *send_all(void *argument)
{
	struct port *port = argument;
	uint32_t i;

	for (i = 0; i < PACKETS; i++) {
		while (port->tx->head == port->tx->tail) {
			struct pollfd room = {port->fd, POLLOUT, 0};

			need(poll(&room, 1, -1) == 1);
		}
		put(port, i);
		if (i % 100 == 99)
			need(ioctl(port->fd, NIOCTXSYNC, NULL) == 0);
	}
	need(ioctl(port->fd, NIOCTXSYNC, NULL) == 0);
	return NULL;
}

static void with_method(const char *method)
{
	static const char *const methods[] = {"epoll", "poll", "select"};
	struct event_config *config = event_config_new();
	struct timeval millisecond = {0, 1000};
	struct receiver receiver = {.next = 0};
	struct event *readable, *timer;
	struct port a, b;
	pthread_t thread;
	size_t i;

	for (i = 0; i < 3; i++)
		if (strcmp(methods[i], method) != 0)
			need(event_config_avoid_method(config, methods[i]) == 0);
	pipe_open(&a, &b);
	receiver.port = &b;
	receiver.base = event_base_new_with_config(config);
	need(receiver.base != NULL && strcmp(event_base_get_method(receiver.base), method) == 0);
	readable = event_new(receiver.base, b.fd, EV_READ | EV_PERSIST, on_packets, &receiver);
	timer = event_new(receiver.base, -1, EV_PERSIST, on_timer, NULL);
	need(event_add(readable, NULL) == 0 && event_add(timer, &millisecond) == 0);
	need(pthread_create(&thread, NULL, send_all, &a) == 0);
	need(event_base_dispatch(receiver.base) == 0);
	need(pthread_join(thread, NULL) == 0 && receiver.next == PACKETS);
	event_free(readable);
	event_free(timer);
	event_base_free(receiver.base);
	event_config_free(config);
}

static void libevent_epoll(void)
{
	with_method("epoll");
}

static void libevent_poll(void)
{
	with_method("poll");
}

static void libevent_select(void)
{
	with_method("select");
}

const struct test event_tests[] = {
	{"libevent-epoll", libevent_epoll},
	{"libevent-poll", libevent_poll},
	{"libevent-select", libevent_select},
	{NULL, NULL},
};
