/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors of which the last close() does not come to an end: whoever closes one of
 * these hangs. They stay like this while the runner looks whether the others go on, and
 * through the attacks that follow, until descriptors_let_go().
 */
#include "hostile.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../blocking_socket.h"

#define KERNEL_MAX_FDS 253
#define RAM_SIZE       8192

static struct vu_connection raw;
static int peers[16];
static unsigned num_peers;

void descriptors_let_go(void)
{
	while (num_peers > 0)
		close(peers[--num_peers]);
}

static int blocking_fd(void)
{
	struct blocking_socket blocking;

	assert_true(num_peers < sizeof(peers) / sizeof(peers[0]));
	if (!blocking_socket_open(&blocking)) {
		print_message("no loopback interface: nothing to attack with\n");
		skip();
	}
	peers[num_peers++] = blocking.peer;
	return blocking.fd;
}

/* So that our own copy is closed before the daemon's: the last one blocks. */
static void stop_daemon(void)
{
	siginfo_t info;

	assert_int_equal(kill(ptnetd.pid, SIGSTOP), 0);
	assert_int_equal(waitid(P_PID, (id_t)ptnetd.pid, &info, WSTOPPED), 0);
}

static void continue_daemon(void)
{
	assert_int_equal(kill(ptnetd.pid, SIGCONT), 0);
}

static void send_and_close(struct vu_connection *connection, const void *bytes, size_t size, int fd)
{
	assert_int_equal(vu_send_raw(connection, bytes, size, &fd, 1), 0);
	close(fd);
}

static void negotiate_raw(const char *path)
{
	assert_int_equal(vu_connect(&raw, path), 0);
	assert_int_equal(vu_negotiate(&raw), 0);
}

/* A command with one descriptor that blocks. 0, or the negative errno of the reply. */
static int request_blocking(uint16_t command, const void *payload, size_t size)
{
	static struct vu_message reply;
	struct {
		struct vu_header header;
		uint8_t payload[64];
	} message = {.header = {.id = 7,
				.command = command,
				.size = (uint32_t)(sizeof(message.header) + size)}};

	memcpy(message.payload, payload, size);
	int fd = blocking_fd();
	stop_daemon();
	send_and_close(&raw, &message, message.header.size, fd);
	continue_daemon();
	assert_int_equal(vu_receive(&raw, &reply), 0);
	return reply.header.flags & VU_ERROR ? -(int)reply.header.error : 0;
}

/* The attacker itself need not be served any more, but it is. */
static void assert_served(void)
{
	struct vu_device_info info;

	assert_int_equal(vu_get_info(&raw, &info), 0);
}

static void as_memory(const char *path)
{
	struct vu_dma_map map = {.argsz = sizeof(map),
				 .flags = VU_DMA_READABLE | VU_DMA_WRITEABLE,
				 .size = RAM_SIZE};

	negotiate_raw(path);
	assert_int_equal(request_blocking(VU_DMA_MAP, &map, sizeof(map)), 0);
	assert_served();
	/* What comes after it waits for it, and nobody for that. */
	for (unsigned i = 1; i < 10; i++) {
		int memory = memfd_create("RAM", MFD_CLOEXEC);

		assert_int_equal(ftruncate(memory, RAM_SIZE), 0);
		assert_int_equal(vu_dma_map(&raw, VU_DMA_READABLE | VU_DMA_WRITEABLE,
					    (uint64_t)i * RAM_SIZE, RAM_SIZE, memory, 0),
				 0);
		close(memory);
		assert_int_equal(vu_dma_unmap(&raw, (uint64_t)i * RAM_SIZE, RAM_SIZE), 0);
	}
	assert_served();
	vu_disconnect(&raw);
}

static void as_memory_of_the_port(void)
{
	as_memory(evil_paths.netif);
}

static void as_memory_of_the_region(void)
{
	as_memory(evil_paths.memdev);
}

static void as_interrupt(void)
{
	struct vu_irq_set set = {20, VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_TRIGGER, VU_IRQ_MSIX, 0,
				 1};

	negotiate_raw(evil_paths.netif);
	assert_int_equal(request_blocking(VU_SET_IRQS, &set, sizeof(set)), -EINVAL);
	assert_served();
	vu_disconnect(&raw);
}

static void with_a_message_that_takes_none(void)
{
	negotiate_raw(evil_paths.netif);
	assert_int_equal(request_blocking(VU_RESET, "", 0), -EINVAL);
	assert_served();
	vu_disconnect(&raw);
}

/* So many that the kernel would close some for whoever has no room. */
static void last_of_very_many(void)
{
	struct vu_header header = {.command = VU_RESET, .size = sizeof(header)};
	int fds[KERNEL_MAX_FDS];

	for (unsigned i = 0; i < KERNEL_MAX_FDS - 1; i++)
		fds[i] = STDERR_FILENO;
	fds[KERNEL_MAX_FDS - 1] = blocking_fd();
	negotiate_raw(evil_paths.netif);
	stop_daemon();
	assert_int_equal(vu_send_raw(&raw, &header, sizeof(header), fds, KERNEL_MAX_FDS), 0);
	close(fds[KERNEL_MAX_FDS - 1]);
	continue_daemon();
	assert_true(vu_wait_closed(&raw));
	vu_disconnect(&raw);
}

/* The daemon hangs up on the first bytes; the descriptor is in the socket and goes with it. */
static void never_received(void)
{
	static const char nonsense[65536];
	int fd = blocking_fd();

	negotiate_raw(evil_paths.netif);
	stop_daemon();
	/* More than it takes at a time. */
	assert_int_equal(vu_send_raw(&raw, nonsense, sizeof(nonsense), NULL, 0), 0);
	send_and_close(&raw, "", 1, fd);
	continue_daemon();
	assert_true(vu_wait_closed(&raw));
	vu_disconnect(&raw);
}

/* Sent by a second VM, which is refused. */
static void with_a_connection_that_is_refused(void)
{
	struct vu_connection second;
	int fd = blocking_fd();

	negotiate_raw(evil_paths.netif);
	stop_daemon();
	assert_int_equal(vu_connect(&second, evil_paths.netif), 0);
	send_and_close(&second, "", 1, fd);
	continue_daemon();
	assert_true(vu_wait_closed(&second));
	vu_disconnect(&second);
	vu_disconnect(&raw);
}

/* One that blocks, then more and more behind it: at last the daemon takes no more of this one. */
static void more_than_anybody_may_have_waiting(void)
{
	unsigned refused = daemon_log_count(&ptnetd, "cannot accept a connection");
	unsigned sent = 0;
	int fds[8];

	for (unsigned i = 0; i < 8; i++)
		fds[i] = STDERR_FILENO;
	negotiate_raw(evil_paths.netif);
	assert_int_equal(request_blocking(VU_RESET, "", 0), -EINVAL);
	while (vu_request(&raw, VU_RESET, NULL, 0, fds, 8, NULL, 0, NULL) == -EINVAL) {
		sent += 8;
		if (sent > 10000)
			fail_msg("%u descriptors were taken behind one that cannot be closed",
				 sent);
	}
	vu_disconnect(&raw);
	/* Whoever comes now waits outside. */
	assert_int_equal(vu_connect(&raw, evil_paths.netif), 0);
	assert_int_equal(daemon_wait_log(&ptnetd, "cannot accept a connection", refused), 0);
	vu_disconnect(&raw);
}

/* The peers are there no more: all is closed, and the port may be had again. */
static void let_go(void)
{
	descriptors_let_go();
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_LINUX);
	assert_int_equal(endpoint_detach(&evil), 0);
}

const struct attack descriptor_attacks[] = {
	{"a descriptor that cannot be closed, as memory", as_memory_of_the_port, NO_FAULT, NULL},
	{"a descriptor that cannot be closed, as memory for the region", as_memory_of_the_region,
	 NO_FAULT, NULL},
	{"a descriptor that cannot be closed, as interrupt", as_interrupt, "bad_descriptors", NULL},
	{"a descriptor that cannot be closed, with a reset", with_a_message_that_takes_none,
	 "bad_descriptors", NULL},
	{"a descriptor that cannot be closed, last of 253", last_of_very_many, "bad_descriptors",
	 NULL},
	{"a descriptor that cannot be closed, never received", never_received, "bad_header", NULL},
	{"a descriptor that cannot be closed, of a second VM", with_a_connection_that_is_refused,
	 "refused_connections", NULL},
	{"a descriptor that cannot be closed, and a thousand more",
	 more_than_anybody_may_have_waiting, "bad_descriptors", NULL},
	{"descriptors that can be closed at last", let_go, NO_FAULT, NULL},
};
const size_t num_descriptor_attacks = sizeof(descriptor_attacks) / sizeof(descriptor_attacks[0]);
