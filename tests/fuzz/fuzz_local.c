/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile programs on the netmap socket: any bytes with any descriptors, and, because few of those
 * get past the first check, requests that are well formed with values near the edges, from
 * several descriptors of several users, who also write into the memory that they were
 * given, kick, and close when they like.
 *
 * What must hold: nothing is touched outside its bounds (ASan, UBSan); an answer is
 * consistent; and when all are gone so is every port, region and descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "control/netmap_device.h"
#include "engine/closer.h"
#include "engine/engine.h"
#include "input.h"
#include "log/log.h"

#define CLIENTS	  4
#define SOCKET	  "/tmp/fuzz_local.sock"
#define MAX_STEPS 64

/* A descriptor of /dev/netmap, and what it was given. */
struct client {
	int fd; /* -1: closed */
	char *memory;
	size_t size, csb_size;
	struct ptnet_local_binding binding;
	struct ptnet_local_csb *csb;
	int kicks[PTNET_MAX_RINGS];
	unsigned num_kicks;
};

static struct engine *engine;
static struct event_base *base;
static struct inventory inventory;
static struct netmap_device device;
static struct client clients[CLIENTS];
static int event_fd, memory_fd;

static void serve(void)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void start(void)
{
	const struct engine_config engine_config = {.workers = 1};
	const struct socket_access access = {.uid = 0, .gid = 0, .mode = 0600};
	struct netmap_config config = {.access = access, .made_mode = 0600};
	struct error error = {0};

	log_set_level(LOG_LEVEL_ERROR);
	unlink(SOCKET);
	snprintf(config.path, sizeof(config.path), "%s.%d", SOCKET, (int)getpid());
	require(engine_create(&engine, &engine_config, &error) == 0);
	base = event_base_new();
	require(base != NULL);
	inventory_init(&inventory, engine, base, "/tmp", &access, &access);
	require(netmap_device_open(&device, &inventory, &config, &error) == 0);
	unlink(config.path);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	memory_fd = memfd_create("no socket", MFD_CLOEXEC);
	require(event_fd >= 0 && memory_fd >= 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
}

/* ---- clients ---- */

static void client_open(struct client *client, uid_t uid)
{
	struct local_status status;
	int ends[2];

	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	require(local_server_adopt(device.server, ends[1]) == 0);
	*client = (struct client){.fd = ends[0]};
	local_server_get_status(device.server, &status);
	TAILQ_LAST(status.list, local_connections)->peer.uid = uid;
}

static void client_forget(struct client *client)
{
	if (client->memory != NULL)
		munmap(client->memory, client->size);
	if (client->csb != NULL)
		munmap(client->csb, sizeof(*client->csb));
	while (client->num_kicks > 0)
		close(client->kicks[--client->num_kicks]);
	client->memory = NULL;
	client->csb = NULL;
}

static void client_close(struct client *client)
{
	client_forget(client);
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

/* Takes what a binding brings: the region, the CSB, the kicks. */
static void client_bound(struct client *client, const struct ptnet_local_reply *reply,
			 const int *fds, unsigned num_fds)
{
	const struct ptnet_local_binding *binding = &reply->binding;
	unsigned rings = (unsigned)binding->num_tx + binding->num_rx;

	client_forget(client);
	client->binding = *binding;
	client->size = binding->map_size;
	require(num_fds == 1 || num_fds == PTNET_LOCAL_FD_RINGS + 2 * rings);
	require(binding->nifp_offset < binding->memsize && binding->memsize <= binding->map_size);
	client->memory = mmap(NULL, client->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			      fds[PTNET_LOCAL_FD_REGION], 0);
	require(client->memory != MAP_FAILED);
	for (unsigned i = 0; i < rings; i++)
		require(binding->ring_ofs[i] < binding->memsize);
	if (num_fds > 1) {
		client->csb = mmap(NULL, sizeof(*client->csb), PROT_READ | PROT_WRITE, MAP_SHARED,
				   fds[PTNET_LOCAL_FD_CSB], 0);
		require(client->csb != MAP_FAILED);
	}
	for (unsigned i = PTNET_LOCAL_FD_RINGS; i < num_fds; i++) {
		if ((i - PTNET_LOCAL_FD_RINGS) % 2 == 0)
			client->kicks[client->num_kicks++] = fds[i];
		else
			close(fds[i]);
	}
	for (unsigned i = 0; i < num_fds && i < PTNET_LOCAL_FD_RINGS; i++)
		close(fds[i]);
}

static void receive(struct client *client, int fd)
{
	char control[CMSG_SPACE(PTNET_LOCAL_MAX_FDS * sizeof(int))] __attribute__((aligned(8)));
	struct ptnet_local_reply reply;
	struct iovec iov = {.iov_base = &reply, .iov_len = sizeof(reply)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *cmsg = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	int fds[PTNET_LOCAL_MAX_FDS];
	unsigned num_fds = 0;

	if (cmsg != NULL) {
		num_fds = (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
	}
	require(got <= 0 || got == (ssize_t)sizeof(reply));
	if (got > 0 && reply.bound == 1)
		client_bound(client, &reply, fds, num_fds);
	else
		require(num_fds == 0);
	require(got <= 0 || (reply.error != 0) == (reply.message[0] != '\0'));
}

/* Sends, has it served and takes the answer. */
static void exchange(struct client *client, const void *bytes, size_t size, int *fds,
		     unsigned num_fds, bool read_it)
{
	char control[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	int ends[2];

	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	for (unsigned i = 0; i < num_fds; i++)
		if (fds[i] < 0)
			fds[i] = ends[1];
	if (num_fds > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, num_fds * sizeof(int));
	}
	if (sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		serve();
	close(ends[1]);
	if (read_it)
		receive(client, ends[0]);
	close(ends[0]);
}

/* ---- requests ---- */

static void put_name(struct input *input, char name[NETMAP_REQ_IFNAMSIZ])
{
	static const char *const names[] = {
		"vale0:a",    "vale0:b",    "vale1:a",	 "p{1",	      "p}1",
		"p{1{2",      "p}1}2",	    "vale0:a{",	 "per0",      "per1",
		"vale0:per0", "vale1:per0", "vale0:a{1", "vale0:a}1", "",
		"lo",	      "lo{1",	    "p",	 "vale:",     "null:1",
	};
	uint64_t choice = take(input, 1);

	snprintf(name, NETMAP_REQ_IFNAMSIZ, "%s", names[choice % 20]);
	if (choice >= 240) /* anything, also without an end */
		for (unsigned i = 0; i < NETMAP_REQ_IFNAMSIZ; i++)
			name[i] = (char)take(input, 1);
}

static uint32_t some_number(struct input *input)
{
	static const uint32_t numbers[] = {0,  0,  0,  1,    1,	   2,	 3,
					   16, 17, 64, 1024, 4096, 4097, 1u << 20};
	uint64_t choice = take(input, 1);

	if (choice >= 250)
		return (uint32_t)take(input, 4);
	return numbers[choice % (sizeof(numbers) / sizeof(numbers[0]))];
}

static void put_register(struct input *input, struct nmreq_register *reg)
{
	static const uint32_t modes[] = {NR_REG_ALL_NIC, NR_REG_ALL_NIC,    NR_REG_ONE_NIC,
					 NR_REG_NULL,	 NR_REG_SW,	    NR_REG_DEFAULT,
					 NR_REG_ONE_SW,	 NR_REG_PIPE_MASTER};
	static const uint64_t flags[] = {0,
					 0,
					 0,
					 NR_EXCLUSIVE,
					 NR_TX_RINGS_ONLY,
					 NR_RX_RINGS_ONLY,
					 NR_ACCEPT_VNET_HDR,
					 NR_MONITOR_RX};

	reg->nr_mode = modes[take(input, 1) % 8];
	reg->nr_flags = flags[take(input, 1) % 8];
	reg->nr_tx_rings = (uint16_t)some_number(input);
	reg->nr_rx_rings = (uint16_t)some_number(input);
	reg->nr_tx_slots = some_number(input);
	reg->nr_rx_slots = some_number(input);
	reg->nr_ringid = (uint16_t)some_number(input);
	reg->nr_mem_id = (uint16_t)some_number(input);
	reg->nr_extra_bufs = some_number(input) & 0x1fff; /* each is written to */
}

static void put_options(struct input *input, struct ptnet_local_options *options)
{
	options->present = (uint32_t)take(input, 1) & 3;
	options->extmem.nr_memsize = (uint64_t)some_number(input) * 4096;
	options->extmem.nr_if_pool_objtotal = some_number(input);
	options->extmem.nr_if_pool_objsize = some_number(input);
	options->extmem.nr_ring_pool_objtotal = some_number(input);
	options->extmem.nr_ring_pool_objsize = some_number(input);
	options->extmem.nr_buf_pool_objtotal = some_number(input);
	options->extmem.nr_buf_pool_objsize = some_number(input);
	options->offsets.nro_max_offset = some_number(input);
	options->offsets.nro_initial_offset = some_number(input);
	options->offsets.nro_offset_bits = some_number(input);
}

static void send_request(struct input *input, struct client *client)
{
	struct ptnet_local_request request = {.version = PTNET_LOCAL_VERSION};
	uint64_t choice = take(input, 1);
	int reply_socket = -1;

	request.op = choice < 208 ? PTNET_LOCAL_CTRL : (uint32_t)choice % 5;
	request.reqtype = (uint16_t)(choice % 26 < 13 ? NETMAP_REQ_REGISTER : choice % 26 - 12);
	put_name(input, request.name);
	if (request.reqtype == NETMAP_REQ_REGISTER || request.reqtype == NETMAP_REQ_VALE_ATTACH) {
		put_register(input, &request.body.reg);
		if (take(input, 1) >= 200)
			put_options(input, &request.options);
	} else {
		for (unsigned i = 0; i < sizeof(request.body) / 4; i++) {
			uint32_t value = some_number(input);

			memcpy(request.body.bytes + 4 * i, &value, sizeof(value));
		}
	}
	exchange(client, &request, sizeof(request), &reply_socket, 1, take(input, 1) < 250);
}

static void send_bytes(struct input *input, struct client *client)
{
	uint8_t bytes[sizeof(struct ptnet_local_request) + 8] = {0};
	uint64_t choice = take(input, 1);
	size_t size =
		choice & 1 ? sizeof(struct ptnet_local_request) : take(input, 2) % sizeof(bytes);
	int fds[8];
	unsigned num_fds = take(input, 1) % 9;

	for (size_t i = 0; i < size && input->left > 0; i++)
		bytes[i] = (uint8_t)take(input, 1);
	for (unsigned i = 0; i < num_fds; i++)
		fds[i] = (choice >> i & 3) == 0	  ? event_fd
			 : (choice >> i & 3) == 1 ? memory_fd
						  : -1;
	exchange(client, bytes, size, fds, num_fds, true);
}

/* ---- memory ---- */

/* Into a ring's header or slots, the netmap_if, or the CSB: a word. */
static void scribble(struct input *input, struct client *client)
{
	uint64_t where = take(input, 2);
	uint32_t value = some_number(input);
	const struct ptnet_local_binding *binding = &client->binding;
	unsigned rings = (unsigned)binding->num_tx + binding->num_rx;

	if (client->memory == NULL)
		return;
	if ((where & 3) == 0 && client->csb != NULL)
		__atomic_store_n((uint32_t *)client->csb +
					 (where >> 2) % (sizeof(*client->csb) / 4),
				 value, __ATOMIC_RELAXED);
	else if ((where & 3) == 1)
		__atomic_store_n((uint32_t *)(void *)(client->memory + binding->nifp_offset) +
					 (where >> 2) % 32,
				 value, __ATOMIC_RELAXED);
	else if (rings > 0)
		__atomic_store_n(
			(uint32_t *)(void *)(client->memory + binding->ring_ofs[where % rings]) +
				(where >> 2) % 128,
			value, __ATOMIC_RELAXED);
}

static void kick(struct input *input, const struct client *client)
{
	uint64_t which = take(input, 1);

	if (client->num_kicks > 0)
		eventfd_write(client->kicks[which % client->num_kicks], 1);
}

static void step(struct input *input)
{
	uint64_t choice = take(input, 1);
	struct client *client = &clients[choice % CLIENTS];

	if (client->fd < 0) {
		client_open(client, (choice >> 2) % 3 == 0 ? 0 : 1000 + (uid_t)(choice >> 7));
		return;
	}
	switch (choice >> 2 & 15) {
	case 0:
		client_close(client);
		serve();
		break;
	case 1:
		send_bytes(input, client);
		break;
	case 2:
	case 3:
	case 4:
		scribble(input, client);
		break;
	case 5:
		kick(input, client);
		break;
	default:
		send_request(input, client);
		break;
	}
}

/* The lowest number that is free says whether a descriptor was left. */
static int lowest_free(void)
{
	int fd;

	while (closers_waiting() > 0)
		sched_yield();
	fd = dup(event_fd);
	close(fd);
	return fd;
}

/* Persistent ports outlive who made them. */
static void delete_persistent(void)
{
	struct inventory_port *port, *next;

	for (port = TAILQ_FIRST(&inventory.ports); port != NULL; port = next) {
		next = TAILQ_NEXT(port, link);
		if (port->lifetime == PORT_PERSISTENT)
			inventory_persistent_del(&inventory, port);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct local_status status;
	int before;

	if (engine == NULL)
		start();
	before = lowest_free();
	for (unsigned i = 0; i < MAX_STEPS && input.left > 0; i++)
		step(&input);
	for (unsigned i = 0; i < CLIENTS; i++)
		client_close(&clients[i]);
	do {
		serve();
		local_server_get_status(device.server, &status);
	} while (status.connected > 0);
	delete_persistent();
	require(TAILQ_EMPTY(&inventory.ports) && TAILQ_EMPTY(&inventory.pipes));
	require(TAILQ_EMPTY(&inventory.regions) && TAILQ_EMPTY(&inventory.switches));
	require(lowest_free() == before);
	return 0;
}
