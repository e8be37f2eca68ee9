/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listeners with a real engine: who gets in, who is refused, and that nothing is
 * left of those who went, however they went.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../blocking_socket.h"
#include "attach/vfio_user_attachment.h"
#include "attach/vfio_user_protocol.h"
#include "captured_stderr.h"
#include "engine/closer.h"
#include "engine/endpoint.h"
#include "engine/engine.h"
#include "guest_fixture.h"
#include "hugepages.h"
#include "port/vale.h"
#include "ring/interrupt.h"
#include "test_attach_fixture.h"
#include "thread_sanitizer.h"

#define SLOTS	 128
#define DEADLINE 10 /* seconds until a test that waits fails */
#define ROUNDS	 10000

static const struct socket_access nobody_special = {(uid_t)-1, (gid_t)-1, 0600};

static char directory[] = "/tmp/ptnet-attach-XXXXXX";
static char path[64], memdev_path[64];
static struct event_base *base;
static struct engine *engine;
static struct vale *vale;
static struct region *region;
static struct port *port;
static struct netif_listener *netif;
static struct memdev_listener *memdev;
static unsigned open_fds;
static uint32_t idle_watches[2]; /* of each worker, without VMs */

/*
 * In libc's place. The kernel refuses when a user's watches are used up (ENOSPC,
 * fs.epoll.max_user_watches), or memory; here it is the n-th ADD from now on.
 */
static _Atomic int adds_until_failure;

int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
	if (operation == EPOLL_CTL_ADD && atomic_load(&adds_until_failure) > 0 &&
	    atomic_fetch_sub(&adds_until_failure, 1) == 1) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll_fd, operation, fd, event);
}

static uint32_t worker_watches(unsigned worker)
{
	struct engine_worker_stats stats;

	engine_worker_stats(engine, worker, &stats);
	return stats.watches;
}

static int setup(void **state)
{
	struct engine_config engine_config = {.workers = 2};
	struct vale_config vale_config = {.name = "vale0"};
	struct port_config port_config = {
		.name = "vm", .tx_rings = 1, .rx_rings = 1, .tx_slots = SLOTS, .rx_slots = SLOTS};
	struct error error = {0};

	(void)state;
	open_fds = count_open_fds();
	base = event_base_new();
	assert_non_null(base);
	if (engine_create(&engine, &engine_config, &error) < 0 ||
	    vale_create(&vale, &vale_config, &error) < 0)
		fail_msg("%s", error.text);
	region = test_region(1, 1, SLOTS, 2048);
	if (vale_port_create(&port, vale, &port_config, region, &error) < 0)
		fail_msg("%s", error.text);
	engine_add_port(engine, port);
	if (netif_listen(&netif, engine, base, port, path, &nobody_special, &error) < 0 ||
	    memdev_listen(&memdev, engine, base, region, "pool", memdev_path, &nobody_special,
			  &error) < 0)
		fail_msg("%s", error.text);
	for (unsigned i = 0; i < 2; i++)
		idle_watches[i] = worker_watches(i);
	return 0;
}

/* What came from clients is closed by threads of its own. */
static void await_open_fds(unsigned wanted)
{
	time_t start = time(NULL);

	while (count_open_fds() != wanted) {
		if (time(NULL) - start >= DEADLINE)
			fail_msg("%u descriptors, not %u", count_open_fds(), wanted);
		sched_yield();
	}
}

static int teardown(void **state)
{
	(void)state;
	netif_unlisten(netif);
	memdev_unlisten(memdev);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(memdev_path, F_OK), -1);
	engine_remove_port(engine, port);
	port_destroy(port);
	region_put(region);
	assert_int_equal(vale_destroy(vale, NULL), 0);
	engine_destroy(engine);
	event_base_free(base);
	await_open_fds(open_fds);
	return 0;
}

/* Nobody is let in while they are crowded, as they may be where they get less of a CPU than we. */
static void await_closers(void)
{
	time_t start = time(NULL);

	while (closers_waiting() > CLOSER_CROWD / 2) {
		assert_true(time(NULL) - start < DEADLINE);
		sched_yield();
	}
}

/* A client's end of a connection that the control thread has been told of. */
static int connect_to(const char *where)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = DEADLINE};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	await_closers();
	strcpy(address.sun_path, where);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	assert_true(event_base_loop(base, EVLOOP_ONCE) >= 0);
	return fd;
}

static void say(int fd, uint16_t command, const void *payload, size_t size)
{
	uint8_t message[256];
	struct vfio_user_header header = {.command = command, .size = (uint32_t)(16 + size)};

	memcpy(message, &header, sizeof(header));
	if (size > 0)
		memcpy(message + 16, payload, size);
	assert_int_equal(send(fd, message, 16 + size, MSG_NOSIGNAL), 16 + size);
}

/* 0, or the errno of the reply. */
static uint32_t hear(int fd)
{
	struct vfio_user_header header;
	uint8_t payload[4096];

	assert_int_equal(recv(fd, &header, sizeof(header), MSG_WAITALL), sizeof(header));
	if (header.size > sizeof(header))
		assert_int_equal(recv(fd, payload, header.size - sizeof(header), MSG_WAITALL),
				 header.size - sizeof(header));
	return header.flags & VFIO_USER_ERROR ? header.error : 0;
}

static void negotiate(int fd)
{
	struct vfio_user_version version = {0};

	say(fd, VFIO_USER_VERSION, &version, sizeof(version));
	assert_int_equal(hear(fd), 0);
}

static void out(int fd, uint32_t region_index, uint64_t offset, uint32_t value)
{
	struct {
		struct vfio_user_region_access access;
		uint32_t value;
	} __attribute__((packed))
	write = {.access = {.offset = offset, .region = region_index, .count = 4}, .value = value};

	say(fd, VFIO_USER_REGION_WRITE, &write, sizeof(write));
	assert_int_equal(hear(fd), 0);
}

static bool closed_by_daemon(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, 0);

	return got == 0 || (got < 0 && errno == ECONNRESET);
}

static struct netif_status status(void)
{
	struct netif_status now;

	netif_get_status(netif, &now);
	return now;
}

static bool vm_gone(void)
{
	return !status().connected;
}

static bool memdev_empty(void)
{
	return memdev_connections(memdev) == 0;
}

static bool ring_faulted(void)
{
	pthread_mutex_lock(&port->rings[0].lock);
	bool faulted = port->rings[0].state == KRING_FAULTED;
	pthread_mutex_unlock(&port->rings[0].lock);
	return faulted;
}

/* The other side of this is another thread's, so there is nothing to sleep on. */
static void await(bool (*condition)(void))
{
	time_t start = time(NULL);

	while (!condition()) {
		assert_true(time(NULL) - start < DEADLINE);
		sched_yield();
	}
}

/* ---- socket files ---- */

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct netif_listener *second;
	struct error error;
	char file[96];

	(void)state;
	snprintf(file, sizeof(file), "%s/file", directory);
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(netif_listen(&second, engine, base, port, file, &nobody_special, &error),
			 -EEXIST);
	assert_int_equal(unlink(file), 0);
}

static void a_socket_in_use_is_left_alone(void **state)
{
	struct netif_listener *second;
	struct error error;

	(void)state;
	assert_int_equal(netif_listen(&second, engine, base, port, path, &nobody_special, &error),
			 -EEXIST);
	/* The attempt looks like a client that came and went. */
	event_base_loop(base, EVLOOP_ONCE);
	await(vm_gone);
	close(connect_to(path));
}

static void a_stale_socket_is_replaced_and_gets_its_rights(void **state)
{
	struct socket_access everybody = {(uid_t)-1, (gid_t)-1, 0666};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct memdev_listener *second;
	struct error error = {0};
	struct stat before, after;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/stale", directory);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(stat(address.sun_path, &before), 0);
	if (memdev_listen(&second, engine, base, region, "pool", address.sun_path, &everybody,
			  &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(stat(address.sun_path, &after), 0);
	assert_int_equal(after.st_mode & 0777, 0666);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 0777, 0600);

	/* What somebody else put in its place is not ours to remove. */
	assert_int_equal(unlink(address.sun_path), 0);
	close(open(address.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	memdev_unlisten(second);
	assert_int_equal(unlink(address.sun_path), 0);
}

static void paths_that_cannot_be_say_why(void **state)
{
	struct netif_listener *second;
	char longest[200];
	struct error error;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(
		netif_listen(&second, engine, base, port, longest, &nobody_special, &error),
		-ENAMETOOLONG);
	assert_non_null(strstr(error.text, "107"));
	assert_int_equal(netif_listen(&second, engine, base, port, "/nonexistent/socket",
				      &nobody_special, &error),
			 -ENOENT);
	assert_int_equal(netif_listen(&second, engine, base, port, "/nonexistent/socket",
				      &nobody_special, NULL),
			 -ENOENT);
}

/* ---- coming and going ---- */

static void status_tells_who_is_there(void **state)
{
	struct netif_status now;

	(void)state;
	assert_false(status().connected);
	int fd = connect_to(path);
	negotiate(fd);
	now = status();
	assert_true(now.connected);
	assert_false(now.running);
	assert_int_equal(now.peer_pid, getpid());
	assert_int_equal(now.peer_uid, getuid());
	assert_int_equal(now.connections, 1);
	assert_int_equal(now.messages, 1);
	out(fd, VFIO_PCI_CONFIG_REGION_INDEX, 4, 5);
	out(fd, 0, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	out(fd, 0, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
	struct vfio_user_dma_map map = {.argsz = sizeof(map), .flags = 3, .size = 4096};
	say(fd, VFIO_USER_DMA_MAP, &map, sizeof(map));
	assert_int_equal(hear(fd), 0);
	/* The status follows the reply, so ask for one more. */
	say(fd, VFIO_USER_DEVICE_FEATURE, NULL, 0);
	assert_int_equal(hear(fd), ENOTSUP);
	now = status();
	assert_true(now.running);
	assert_true(now.extension);
	assert_true(now.bus_master);
	assert_int_equal(now.dma_ranges, 1);
	assert_int_equal(now.protocol_errors, 0);
	say(fd, 99, NULL, 0);
	assert_int_equal(hear(fd), ENOTSUP);
	now = status();
	assert_int_equal(now.protocol_errors, 1);
	assert_int_equal(now.errors[VFIO_USER_ERROR_COMMAND], 1);
	close(fd);
	await(vm_gone);
	now = status();
	assert_false(now.running);
	assert_false(now.bus_master);
	assert_int_equal(now.dma_ranges, 0);
}

static void a_second_vm_is_refused_and_the_first_stays(void **state)
{
	(void)state;
	int first = connect_to(path);
	negotiate(first);
	out(first, 0, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	out(first, 0, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
	int second = connect_to(path);
	assert_true(closed_by_daemon(second));
	close(second);
	out(first, 0, PTNET_IO_KICK_BASE, 0);
	assert_true(endpoint_running(port));
	assert_int_equal(status().errors[VFIO_USER_ERROR_REFUSED], 1);
	assert_int_equal(status().protocol_errors, 0);
	close(first);
}

static void a_vm_may_come_the_moment_the_last_one_went(void **state)
{
	unsigned before = count_open_fds();

	(void)state;
	int fd = connect_to(path);
	close(fd);
	await(vm_gone);
	for (unsigned i = 0; i < ROUNDS; i++) {
		fd = connect_to(path);
		if (i % 3 > 0)
			negotiate(fd);
		if (i % 3 > 1) {
			out(fd, 0, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
			out(fd, 0, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
			say(fd, VFIO_USER_REGION_READ, "not read", 8);
		}
		close(fd);
	}
	await(vm_gone);
	await_open_fds(before);
	assert_int_equal(status().connections, ROUNDS + 1);
	assert_int_equal(status().errors[VFIO_USER_ERROR_REFUSED], 0);
	assert_false(endpoint_running(port));
}

static void a_port_is_a_vms_or_processes_never_both(void **state)
{
	struct captured_stderr captured;
	uint64_t refused = status().errors[VFIO_USER_ERROR_REFUSED];
	char logged[4096];

	(void)state;
	await(vm_gone);
	assert_int_equal(port_owner(port), PORT_OWNER_NONE);
	assert_true(port_claim(port, PORT_OWNER_PROCESSES));
	assert_true(port_claim(port, PORT_OWNER_PROCESSES));
	assert_int_equal(port_owner(port), PORT_OWNER_PROCESSES);
	capture_stderr(&captured);
	int fd = connect_to(path);
	assert_true(closed_by_daemon(fd));
	release_stderr(&captured, logged, sizeof(logged));
	close(fd);
	if (strstr(logged, "refused a VM; host processes have the port open") == NULL)
		fail_msg("logged: %s", logged);
	assert_int_equal(status().errors[VFIO_USER_ERROR_REFUSED], refused + 1);
	port_release(port, PORT_OWNER_PROCESSES);
	assert_false(port_claim(port, PORT_OWNER_VM));
	port_release(port, PORT_OWNER_PROCESSES);

	fd = connect_to(path);
	negotiate(fd);
	assert_int_equal(port_owner(port), PORT_OWNER_VM);
	assert_false(port_claim(port, PORT_OWNER_PROCESSES));
	assert_false(port_claim(port, PORT_OWNER_VM));
	close(fd);
	await(vm_gone);
	assert_int_equal(port_owner(port), PORT_OWNER_NONE);
}

static void a_vm_that_breaks_the_protocol_is_cut_off_and_may_return(void **state)
{
	struct vfio_user_header nonsense = {.command = 1, .size = 3};

	(void)state;
	int fd = connect_to(path);
	assert_int_equal(send(fd, &nonsense, sizeof(nonsense), 0), sizeof(nonsense));
	assert_true(closed_by_daemon(fd));
	close(fd);
	await(vm_gone);
	assert_int_equal(status().errors[VFIO_USER_ERROR_HEADER], 1);
	fd = connect_to(path);
	negotiate(fd);
	close(fd);
}

static void what_is_wrong_at_a_region_is_counted_and_named(void **state)
{
	struct vfio_user_header nonsense = {.command = 1, .size = 3};
	struct captured_stderr captured;
	struct memdev_status now;
	char logged[4096];

	(void)state;
	capture_stderr(&captured);
	int fd = connect_to(memdev_path);
	assert_int_equal(send(fd, &nonsense, sizeof(nonsense), 0), sizeof(nonsense));
	assert_true(closed_by_daemon(fd));
	release_stderr(&captured, logged, sizeof(logged));
	close(fd);
	if (strstr(logged, "region pool") == NULL)
		fail_msg("logged: %s", logged);
	memdev_get_status(memdev, &now);
	assert_int_equal(now.errors[VFIO_USER_ERROR_HEADER], 1);
	assert_int_equal(now.protocol_errors, 1);
	fd = connect_to(memdev_path);
	negotiate(fd);
	memdev_get_status(memdev, &now);
	assert_int_equal(now.messages, 1);
	close(fd);
}

static void a_vm_is_disconnected_when_its_port_goes(void **state)
{
	struct error error = {0};

	(void)state;
	int fd = connect_to(path);
	negotiate(fd);
	out(fd, 0, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	out(fd, 0, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
	netif_unlisten(netif);
	assert_true(closed_by_daemon(fd));
	assert_false(endpoint_running(port));
	close(fd);
	if (netif_listen(&netif, engine, base, port, path, &nobody_special, &error) < 0)
		fail_msg("%s", error.text);
}

static void many_vms_may_map_a_region(void **state)
{
	struct error error = {0};
	int fds[100];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		fds[i] = connect_to(memdev_path);
		negotiate(fds[i]);
	}
	assert_int_equal(memdev_connections(memdev), 100);
	for (unsigned i = 0; i < 50; i++)
		close(fds[i]);
	for (unsigned i = 50; i < 100; i++) {
		say(fds[i], VFIO_USER_DEVICE_RESET, NULL, 0);
		assert_int_equal(hear(fds[i]), 0);
	}
	memdev_unlisten(memdev);
	for (unsigned i = 50; i < 100; i++) {
		assert_true(closed_by_daemon(fds[i]));
		close(fds[i]);
	}
	if (memdev_listen(&memdev, engine, base, region, "pool", memdev_path, &nobody_special,
			  &error) < 0)
		fail_msg("%s", error.text);
}

static void memdev_connections_leave_nothing(void **state)
{
	(void)state;
	unsigned before = count_open_fds();
	for (unsigned i = 0; i < 2000; i++) {
		int fd = connect_to(memdev_path);

		if (i % 2)
			negotiate(fd);
		close(fd);
	}
	await(memdev_empty);
	await_open_fds(before);
}

/* A worker that cannot watch all of a connection's descriptors ends it, and all is well. */
static void a_connection_that_cannot_be_watched_ends(void **state)
{
	const char *const paths[] = {path, path, memdev_path};

	(void)state;
	for (int i = 0; i < 3; i++) {
		/* A port's connection has a second watch, the 1st and the 3rd fail at the first. */
		atomic_store(&adds_until_failure, i == 1 ? 2 : 1);
		int fd = connect_to(paths[i]);

		assert_true(closed_by_daemon(fd));
		assert_int_equal(atomic_load(&adds_until_failure), 0);
		close(fd);
		await(vm_gone);
		await(memdev_empty);
		/* The next one gets in. */
		fd = connect_to(paths[i]);
		negotiate(fd);
		close(fd);
		await(vm_gone);
		await(memdev_empty);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(worker_watches(i), idle_watches[i]);
}

static bool kicks_came(void)
{
	return atomic_load(&port->rings[0].counters.value[RING_KICKS_RECEIVED]) > 0;
}

/* Its kicks need not be passed on to another thread. */
static void a_vm_is_served_by_the_worker_that_runs_its_ring(void **state)
{
	const struct worker *own = port_tx(port, 0)->worker;

	(void)state;
	int fd = connect_to(path);
	negotiate(fd);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(worker_watches(i),
				 idle_watches[i] + (engine_worker(engine, i) == own ? 2 : 0));
	out(fd, 0, PTNET_IO_KICK_BASE, 0);
	await(kicks_came);
	close(fd);
	await(vm_gone);
}

/* The kernel closes what nobody accepted with the listener; this one's close() would hang. */
static void descriptors_nobody_accepted_do_not_hold_up_the_end(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {.iov_base = "", .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct blocking_socket blocking;
	struct netif_listener *second;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	if (!blocking_socket_open(&blocking)) {
		print_message("no loopback interface: nothing that close() would wait for\n");
		skip();
	}
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/second", directory);
	assert_int_equal(
		netif_listen(&second, engine, base, port, address.sun_path, &nobody_special, NULL),
		0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &blocking.fd, sizeof(int));
	assert_int_equal(sendmsg(fd, &message, 0), 1);
	close(blocking.fd);
	netif_unlisten(second);
	close(blocking.peer);
	close(fd);
}

static void memory_cut_under_running_rings_stops_them_only(void **state)
{
	struct vfio_user_dma_map map = {.argsz = sizeof(map), .flags = 3, .size = 8192};
	struct iovec iov;
	struct {
		struct vfio_user_header header;
		struct vfio_user_dma_map map;
	} message = {.header = {.command = VFIO_USER_DMA_MAP, .size = sizeof(message)}, .map = map};
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	int ram = memfd_create("guest RAM", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(ram, 8192), 0);
	int fd = connect_to(path);
	negotiate(fd);
	iov = (struct iovec){.iov_base = &message, .iov_len = sizeof(message)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &ram, sizeof(int));
	assert_int_equal(sendmsg(fd, &header, 0), sizeof(message));
	assert_int_equal(hear(fd), 0);
	out(fd, VFIO_PCI_CONFIG_REGION_INDEX, 4, 5);
	out(fd, 0, PTNET_IO_CSB_GH_BAL, 4096);
	out(fd, 0, PTNET_IO_CSB_HG_BAL, 4096 + 2048);
	out(fd, 0, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
	assert_true(endpoint_running(port));
	assert_int_equal(ftruncate(ram, 0), 0);
	out(fd, 0, PTNET_IO_KICK_BASE, 0);
	await(ring_faulted);
	assert_int_equal(status().errors[VFIO_USER_ERROR_CSB_LOST], 1);
	out(fd, 0, PTNET_IO_PTCTL, PTNET_PTCTL_DELETE); /* still served */
	close(fd);
	close(ram);
}

#ifndef THREAD_SANITIZER
/* A VM that punches holes into its region's huge pages and uses them up harms itself only. */
static void a_region_that_loses_memory_stops_its_ports(void **state)
{
	static struct guest guest __attribute__((aligned(64)));
	struct region_config config = {.name = "huge", .hugepages = true, .buf_num = 1024};
	struct port_config port_config = {.name = "vale0:huge",
					  .tx_rings = 1,
					  .rx_rings = 1,
					  .tx_slots = SLOTS,
					  .rx_slots = SLOTS};
	struct memdev_listener *listener;
	struct memdev_status before, after;
	char where[96], text[1000];
	struct captured_stderr capture;
	struct port *first = port, *other;
	struct error error = {0};
	long reserved;

	(void)state;
	config.csb_num = 1;
	struct region *huge = hugepages_region(&config, &reserved);
	snprintf(where, sizeof(where), "%s/huge", directory);
	assert_int_equal(vale_port_create(&other, vale, &port_config, huge, &error), 0);
	engine_add_port(engine, other);
	assert_int_equal(memdev_listen(&listener, engine, base, huge, "huge", where,
				       &nobody_special, &error),
			 0);
	memset(&guest, 0, sizeof(guest));
	guest_attach(&guest, other);
	memdev_get_status(listener, &before);
	capture_stderr(&capture);
	hugepages_take_away(huge, reserved);
	/* Any access of the daemon's: here the next packet that it is to send. */
	ptnet_csb_publish(&guest.atok[0], 1, 1);
	endpoint_kick(other, 0);
	port = other;
	await(ring_faulted);
	port = first;
	do
		memdev_get_status(listener, &after);
	while (after.errors[VFIO_USER_ERROR_REGION_LOST] ==
	       before.errors[VFIO_USER_ERROR_REGION_LOST]);
	release_stderr(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "region huge: somebody took memory out of it"));
	assert_true(region_lost(huge));
	hugepages_unlock();
	guest_detach(&guest);
	engine_remove_port(engine, other);
	port_destroy(other);
	memdev_unlisten(listener);
	region_put(huge);
}
#endif

int main(void)
{
#define listening(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		listening(a_file_that_is_no_socket_is_left_alone),
		listening(a_socket_in_use_is_left_alone),
		listening(a_stale_socket_is_replaced_and_gets_its_rights),
		listening(paths_that_cannot_be_say_why),
		listening(status_tells_who_is_there),
		listening(a_second_vm_is_refused_and_the_first_stays),
		listening(a_vm_may_come_the_moment_the_last_one_went),
		listening(a_port_is_a_vms_or_processes_never_both),
		listening(a_vm_that_breaks_the_protocol_is_cut_off_and_may_return),
		listening(what_is_wrong_at_a_region_is_counted_and_named),
		listening(a_vm_is_disconnected_when_its_port_goes),
		listening(many_vms_may_map_a_region),
		listening(memdev_connections_leave_nothing),
		listening(a_connection_that_cannot_be_watched_ends),
		listening(a_vm_is_served_by_the_worker_that_runs_its_ring),
		listening(descriptors_nobody_accepted_do_not_hold_up_the_end),
		listening(memory_cut_under_running_rings_stops_them_only),
#ifndef THREAD_SANITIZER
		listening(a_region_that_loses_memory_stops_its_ports),
#endif
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/netif", directory);
	snprintf(memdev_path, sizeof(memdev_path), "%s/memdev", directory);
	interrupt_prepare(); /* opens a file of its own the first time */
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}
