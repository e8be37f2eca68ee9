/* SPDX-License-Identifier: BSD-2-Clause */
#include <grp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>

#include "engine/closer.h"
#include "engine/engine.h"
#include "log/log.h"
#include "netmap_client.h"

/* ---- the daemon's side ---- */

static void on_call(evutil_socket_t fd, short events, void *argument)
{
	struct netmap_fixture *fixture = argument;
	eventfd_t count;

	(void)events;
	eventfd_read(fd, &count);
	if (fixture->call == NULL)
		event_base_loopbreak(fixture->base);
	else
		fixture->call(fixture, fixture->call_argument);
	eventfd_write(fixture->done_fd, 1);
}

static void *serve(void *argument)
{
	struct netmap_fixture *fixture = argument;
	struct event *event =
		event_new(fixture->base, fixture->call_fd, EV_READ | EV_PERSIST, on_call, fixture);

	event_add(event, NULL);
	event_base_dispatch(fixture->base);
	event_free(event);
	return NULL;
}

int netmap_fixture_open_with(void **state, const struct netmap_config *config)
{
	struct netmap_fixture *fixture = calloc(1, sizeof(*fixture));
	const struct engine_config engine = {.workers = 2};
	struct netmap_config own = *config;
	struct socket_access programs = {
		.uid = own.access.uid, .gid = own.access.gid, .mode = 0660};
	struct error error = {0};

	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN);
	assert_non_null(fixture);
	strcpy(fixture->directory, "/tmp/ptnetd-unit-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	assert_int_equal(chmod(fixture->directory, 0755), 0);
	snprintf(own.path, sizeof(own.path), "%s/netmap.sock", fixture->directory);
	assert_int_equal(engine_create(&fixture->engine, &engine, NULL), 0);
	fixture->base = event_base_new();
	assert_non_null(fixture->base);
	inventory_init(&fixture->inventory, fixture->engine, fixture->base, fixture->directory,
		       &own.access, &programs);
	fixture->context = (struct request_context){.inventory = &fixture->inventory,
						    .netmap = &fixture->device};
	if (netmap_device_open(&fixture->device, &fixture->inventory, &own, &error) < 0)
		fail_msg("%s", error.text);
	fixture->call_fd = eventfd(0, EFD_CLOEXEC);
	fixture->done_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&fixture->thread, NULL, serve, fixture), 0);
	*state = fixture;
	return 0;
}

int netmap_fixture_open(void **state)
{
	const struct netmap_config config = {
		.access = {.uid = geteuid(), .gid = getegid(), .mode = 0666},
		.made_mode = 0600,
	};

	return netmap_fixture_open_with(state, &config);
}

int netmap_fixture_close(void **state)
{
	struct netmap_fixture *fixture = *state;

	netmap_fixture_call(fixture, NULL, NULL);
	pthread_join(fixture->thread, NULL);
	close(fixture->call_fd);
	close(fixture->done_fd);
	netmap_device_close(&fixture->device);
	inventory_fini(&fixture->inventory);
	event_base_free(fixture->base);
	engine_destroy(fixture->engine);
	/* Fails, and so does the test, if a socket file is left. */
	assert_int_equal(rmdir(fixture->directory), 0);
	free(fixture);
	return 0;
}

void netmap_fixture_call(struct netmap_fixture *fixture,
			 void (*call)(struct netmap_fixture *fixture, void *argument),
			 void *argument)
{
	eventfd_t count;

	fixture->call = call;
	fixture->call_argument = argument;
	eventfd_write(fixture->call_fd, 1);
	eventfd_read(fixture->done_fd, &count);
}

struct control_call {
	const char *request;
	char *answer;
};

static void control_call(struct netmap_fixture *fixture, void *argument)
{
	struct control_call *call = argument;

	call->answer = request_answer(&fixture->context, call->request, strlen(call->request));
}

json_t *netmap_fixture_ask(struct netmap_fixture *fixture, const char *request)
{
	struct control_call call = {.request = request};
	json_t *answer;

	netmap_fixture_call(fixture, control_call, &call);
	assert_non_null(call.answer);
	answer = json_loads(call.answer, 0, NULL);
	assert_non_null(answer);
	free(call.answer);
	return answer;
}

void netmap_fixture_control(struct netmap_fixture *fixture, const char *request)
{
	json_t *answer = netmap_fixture_ask(fixture, request);

	if (json_object_get(answer, "result") == NULL)
		fail_msg("%s", json_dumps(answer, 0));
	json_decref(answer);
}

static void count_call(struct netmap_fixture *fixture, void *argument)
{
	struct netmap_counts *counts = argument;
	const struct inventory_region *region;
	const struct inventory_switch *on_switch;
	const struct inventory_port *port;
	const struct inventory_pipe *pipe;
	struct local_status status;

	*counts = (struct netmap_counts){0};
	TAILQ_FOREACH (region, &fixture->inventory.regions, link)
		counts->regions++;
	TAILQ_FOREACH (on_switch, &fixture->inventory.switches, link)
		counts->switches++;
	TAILQ_FOREACH (port, &fixture->inventory.ports, link)
		counts->ports++;
	TAILQ_FOREACH (pipe, &fixture->inventory.pipes, link)
		counts->pipes++;
	local_server_get_status(fixture->device.server, &status);
	counts->connections = status.connected;
}

struct netmap_counts netmap_fixture_counts(struct netmap_fixture *fixture)
{
	struct netmap_counts counts;

	netmap_fixture_call(fixture, count_call, &counts);
	return counts;
}

void netmap_fixture_settle(struct netmap_fixture *fixture, unsigned connections)
{
	while (netmap_fixture_counts(fixture).connections > connections)
		;
	while (closers_waiting() > 0)
		sched_yield();
}

/* ---- the program's side ---- */

static int connect_to(const char *path, int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

int netmap_connect_to(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect_to(path, fd) == 0)
		return fd;
	close(fd);
	return -1;
}

int netmap_connect(const struct netmap_fixture *fixture)
{
	return netmap_connect_to(fixture->device.config.path);
}

/* The kernel writes down who connects, so a child does that, on our socket. */
int netmap_connect_as(const struct netmap_fixture *fixture, uid_t uid, gid_t gid,
		      const gid_t *groups, size_t num_groups)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), status;
	pid_t child;

	assert_true(fd >= 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(setgroups(num_groups, groups) < 0 || setresgid(gid, gid, gid) < 0 ||
				      setresuid(uid, uid, uid) < 0
			      ? 255
			      : (connect_to(fixture->device.config.path, fd) < 0 ? errno : 0));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 255);
	if (WEXITSTATUS(status) == 0)
		return fd;
	close(fd);
	errno = WEXITSTATUS(status);
	return -1;
}

void netmap_send(int fd, const void *message, size_t size, const int *fds, unsigned num_fds)
{
	char control[CMSG_SPACE(253 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = size};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

	if (num_fds > 0) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, num_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &header, MSG_NOSIGNAL), size);
}

bool netmap_receive(int fd, struct netmap_reply *reply)
{
	char control[CMSG_SPACE(PTNET_LOCAL_MAX_FDS * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = {.iov_base = &reply->reply, .iov_len = sizeof(reply->reply)};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

	reply->num_fds = 0;
	if (got != (ssize_t)sizeof(reply->reply))
		return false;
	if (cmsg != NULL) {
		reply->num_fds = (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(reply->fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
	}
	return true;
}

void netmap_ask(int fd, const struct ptnet_local_request *request, struct netmap_reply *reply)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	netmap_send(fd, request, sizeof(*request), &ends[1], 1);
	close(ends[1]);
	assert_true(netmap_receive(ends[0], reply));
	assert_int_equal(reply->reply.version, PTNET_LOCAL_VERSION);
	close(ends[0]);
}

void netmap_forget(struct netmap_reply *reply)
{
	while (reply->num_fds > 0)
		close(reply->fds[--reply->num_fds]);
}

struct ptnet_local_request netmap_request(uint16_t reqtype, const char *name)
{
	struct ptnet_local_request request = {
		.version = PTNET_LOCAL_VERSION, .op = PTNET_LOCAL_CTRL, .reqtype = reqtype};

	snprintf(request.name, sizeof(request.name), "%s", name);
	return request;
}

struct ptnet_local_request netmap_register_request(const char *name)
{
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_REGISTER, name);

	request.body.reg.nr_mode = NR_REG_ALL_NIC;
	return request;
}

int netmap_errno(int fd, const struct ptnet_local_request *request)
{
	struct netmap_reply reply;

	netmap_ask(fd, request, &reply);
	netmap_forget(&reply);
	return reply.reply.error;
}

void netmap_map(struct netmap_port *port)
{
	const struct ptnet_local_binding *binding = &port->bound.reply.binding;

	port->memory = mmap(NULL, binding->map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			    port->bound.fds[PTNET_LOCAL_FD_REGION], 0);
	assert_true(port->memory != MAP_FAILED);
	port->nifp = (struct netmap_if *)(port->memory + binding->nifp_offset);
	port->csb = NULL;
	if (port->bound.num_fds > PTNET_LOCAL_FD_CSB) {
		port->csb = mmap(NULL, sizeof(*port->csb), PROT_READ | PROT_WRITE, MAP_SHARED,
				 port->bound.fds[PTNET_LOCAL_FD_CSB], 0);
		assert_true(port->csb != MAP_FAILED);
	}
	port->tx = binding->num_tx == 0
			   ? NULL
			   : (struct netmap_ring *)(port->memory + binding->ring_ofs[0]);
	port->rx =
		binding->num_rx == 0
			? NULL
			: (struct netmap_ring *)(port->memory + binding->ring_ofs[binding->num_tx]);
}

void netmap_unmap(struct netmap_port *port)
{
	munmap(port->memory, port->bound.reply.binding.map_size);
	if (port->csb != NULL)
		munmap(port->csb, sizeof(*port->csb));
	netmap_forget(&port->bound);
}

int netmap_open_with(const struct netmap_fixture *fixture, struct netmap_port *port,
		     const struct ptnet_local_request *request)
{
	port->fd = netmap_connect(fixture);
	assert_true(port->fd >= 0);
	netmap_ask(port->fd, request, &port->bound);
	if (port->bound.reply.error != 0) {
		close(port->fd);
		return port->bound.reply.error;
	}
	assert_int_equal(port->bound.reply.bound, 1);
	netmap_map(port);
	return 0;
}

int netmap_open(const struct netmap_fixture *fixture, struct netmap_port *port, const char *name)
{
	struct ptnet_local_request request = netmap_register_request(name);

	return netmap_open_with(fixture, port, &request);
}

void netmap_close(struct netmap_port *port)
{
	netmap_unmap(port);
	close(port->fd);
}

/* ---- packets ---- */

static int kick_of(const struct netmap_port *port, bool rx)
{
	const struct ptnet_local_binding *binding = &port->bound.reply.binding;

	return port->bound.fds[PTNET_LOCAL_FD_RINGS + (rx ? 2 * binding->num_tx : 0)];
}

static int interrupt_of(const struct netmap_port *port, bool rx)
{
	const struct ptnet_local_binding *binding = &port->bound.reply.binding;

	return port->bound.fds[PTNET_LOCAL_FD_RINGS + (rx ? 2 * binding->num_tx : 0) + 1];
}

static unsigned entry_of(const struct netmap_port *port, bool rx)
{
	const struct ptnet_local_binding *binding = &port->bound.reply.binding;

	return rx ? (unsigned)binding->tx_rings + binding->first_rx : binding->first_tx;
}

static int waiter_of(int eventfd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int waiter = epoll_create1(EPOLL_CLOEXEC);

	assert_true(waiter >= 0);
	assert_int_equal(epoll_ctl(waiter, EPOLL_CTL_ADD, eventfd, &event), 0);
	return waiter;
}

/* Sleeps until @answered, as a sleeper does: counted, looking again, with the interrupt. */
static bool wait_for(struct netmap_port *port, bool rx, bool (*answered)(struct netmap_port *port))
{
	struct ptnet_local_atok *atok = &port->csb->atok[entry_of(port, rx)];
	const struct ptnet_local_ktoa *ktoa = &port->csb->ktoa[entry_of(port, rx)];
	int waiter = waiter_of(interrupt_of(port, rx));
	struct epoll_event event;
	bool fault = false;

	__atomic_fetch_add(&atok->appl_need_kick, 1, __ATOMIC_SEQ_CST);
	while (!answered(port) && !fault) {
		fault = PTNET_LOAD_ACQUIRE(&ktoa->ring_fault) != 0;
		if (!fault)
			assert_true(epoll_wait(waiter, &event, 1, 10000) > 0);
	}
	__atomic_fetch_sub(&atok->appl_need_kick, 1, __ATOMIC_SEQ_CST);
	close(waiter);
	return !fault;
}

static bool sync_done(struct netmap_port *port)
{
	unsigned entry = entry_of(port, false);

	return PTNET_LOAD_ACQUIRE(&port->csb->ktoa[entry].sync_done) ==
	       PTNET_LOAD_RELAXED(&port->csb->atok[entry].sync_request);
}

bool netmap_txsync(struct netmap_port *port)
{
	unsigned entry = entry_of(port, false);
	struct ptnet_local_atok *atok = &port->csb->atok[entry];

	PTNET_STORE_RELEASE(&atok->cur, port->tx->cur);
	PTNET_STORE_RELEASE(&atok->head, port->tx->head);
	__atomic_fetch_add(&atok->sync_request, 1, __ATOMIC_SEQ_CST);
	eventfd_write(kick_of(port, false), 1);
	if (!wait_for(port, false, sync_done))
		return false;
	port->tx->tail = PTNET_LOAD_ACQUIRE(&port->csb->ktoa[entry].hwtail);
	return true;
}

bool netmap_rxsync(struct netmap_port *port)
{
	unsigned entry = entry_of(port, true);
	struct ptnet_local_atok *atok = &port->csb->atok[entry];
	const struct ptnet_local_ktoa *ktoa = &port->csb->ktoa[entry];

	PTNET_STORE_RELEASE(&atok->cur, port->rx->cur);
	PTNET_STORE_RELEASE(&atok->head, port->rx->head);
	PTNET_FULL_BARRIER();
	if (PTNET_LOAD_RELAXED(&ktoa->kern_need_kick) != 0)
		eventfd_write(kick_of(port, true), 1);
	port->rx->tail = PTNET_LOAD_ACQUIRE(&ktoa->hwtail);
	return PTNET_LOAD_ACQUIRE(&ktoa->ring_fault) == 0;
}

static char *buffer_of(const struct netmap_ring *ring, uint32_t slot)
{
	return (char *)(uintptr_t)ring + ring->buf_ofs +
	       (size_t)ring->slot[slot].buf_idx * ring->nr_buf_size;
}

char *netmap_buffer(const struct netmap_port *port, uint32_t index)
{
	const struct netmap_ring *ring = port->tx != NULL ? port->tx : port->rx;

	return (char *)(uintptr_t)ring + ring->buf_ofs + (size_t)index * ring->nr_buf_size;
}

void netmap_put(struct netmap_port *port, uint8_t byte, uint16_t length)
{
	struct netmap_ring *ring = port->tx;
	struct netmap_slot *slot = &ring->slot[ring->head];
	char *data = buffer_of(ring, ring->head);

	assert_int_not_equal(ring->head, ring->tail);
	memset(data, byte, length);
	memset(data, 0xff, 6);
	memcpy(data + 6, "\x02\0\0\0\0\x01", 6);
	slot->len = length;
	slot->flags = 0;
	ring->head = ring->cur = (ring->head + 1) % ring->num_slots;
}

static bool something_came(struct netmap_port *port)
{
	netmap_rxsync(port);
	return port->rx->head != port->rx->tail;
}

int netmap_get(struct netmap_port *port, bool wait)
{
	struct netmap_ring *ring = port->rx;
	struct netmap_slot *slot;
	int byte;

	if (!something_came(port) && (!wait || !wait_for(port, true, something_came)))
		return -1;
	slot = &ring->slot[ring->head];
	byte = slot->len > 0 ? (uint8_t)buffer_of(ring, ring->head)[slot->len - 1] : 0;
	ring->head = ring->cur = (ring->head + 1) % ring->num_slots;
	netmap_rxsync(port);
	return byte;
}
