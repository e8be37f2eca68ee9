/* SPDX-License-Identifier: BSD-2-Clause */
#include "test_attach_fixture.h"

#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char qemu_capabilities[] =
	"{\"capabilities\": {\"migration\": {\"max_bitmap_size\": 268435456, \"pgsize\": 4096}, "
	"\"max_msg_fds\": 16, \"max_data_xfer_size\": 1048576, \"pgsizes\": 4096, "
	"\"max_dma_maps\": 65535, \"write_multiple\": true}}";

void client_connect(struct client *client, struct vfio_user_function *function)
{
	int pair[2];

	memset(client, 0, sizeof(*client));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	client->fd = pair[0];
	client->reply_fd = -1;
	vfio_user_server_init(&client->server, pair[1], test_closer(), function, "test",
			      &client->log_limit, &client->counters);
}

void client_disconnect(struct client *client)
{
	close(client->fd);
	if (client->reply_fd >= 0)
		close(client->reply_fd);
	vfio_user_server_fini(&client->server);
}

void client_send_raw(struct client *client, const void *bytes, size_t size, const int *fds,
		     unsigned num_fds)
{
	char control[CMSG_SPACE(64 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (num_fds > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, num_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(client->fd, &message, MSG_NOSIGNAL), size);
}

void client_send(struct client *client, uint16_t command, uint32_t flags, const void *payload,
		 size_t size, const int *fds, unsigned num_fds)
{
	uint8_t message[VFIO_USER_MAX_MESSAGE];
	struct vfio_user_header header = {
		.id = 77,
		.command = command,
		.size = (uint32_t)(sizeof(header) + size),
		.flags = flags,
	};

	assert_true(header.size <= sizeof(message));
	memcpy(message, &header, sizeof(header));
	if (size > 0)
		memcpy(message + sizeof(header), payload, size);
	client_send_raw(client, message, header.size, fds, num_fds);
}

void client_serve(struct client *client)
{
	uint32_t wanted = client->result > 0 ? (uint32_t)client->result : EPOLLIN;

	for (;;) {
		struct pollfd ready = {.fd = client->server.socket.fd, .events = (short)wanted};

		if (poll(&ready, 1, 0) != 1)
			return;
		client->result =
			vfio_user_server_serve(&client->server, (uint32_t)(uint16_t)ready.revents);
		if (client->result < 0)
			return;
		wanted = (uint32_t)client->result;
	}
}

bool client_has_reply(const struct client *client)
{
	struct pollfd ready = {.fd = client->fd, .events = POLLIN};

	return poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0;
}

int client_receive(struct client *client, void *payload, size_t capacity)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct vfio_user_header header;
	struct iovec iov = {.iov_base = &header, .iov_len = sizeof(header)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	uint8_t bytes[VFIO_USER_MAX_MESSAGE];
	size_t size;

	/* As QEMU does: the whole header with one call, or give up. */
	assert_int_equal(recvmsg(client->fd, &message, MSG_CMSG_CLOEXEC), sizeof(header));
	assert_int_equal(message.msg_flags & MSG_CTRUNC, 0);
	assert_int_equal(header.flags & VFIO_USER_TYPE_MASK, VFIO_USER_TYPE_REPLY);
	assert_int_equal(header.id, 77);
	if (client->reply_fd >= 0)
		close(client->reply_fd);
	client->reply_fd = -1;
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg != NULL)
		memcpy(&client->reply_fd, CMSG_DATA(cmsg), sizeof(int));
	size = header.size - sizeof(header);
	if (size > 0)
		assert_int_equal(recv(client->fd, bytes, size, 0), size);
	if (header.flags & VFIO_USER_ERROR) {
		assert_int_equal(size, 0);
		assert_true(header.error > 0);
		return -(int)header.error;
	}
	assert_true(size <= capacity);
	if (size > 0)
		memcpy(payload, bytes, size);
	return (int)size;
}

int client_request(struct client *client, uint16_t command, const void *payload, size_t size,
		   const int *fds, unsigned num_fds, void *reply, size_t capacity)
{
	client_send(client, command, 0, payload, size, fds, num_fds);
	client_serve(client);
	return client_receive(client, reply, capacity);
}

void client_negotiate(struct client *client)
{
	struct {
		struct vfio_user_version version;
		char json[sizeof(qemu_capabilities)];
	} message = {0}, reply = {0};

	memcpy(message.json, qemu_capabilities, sizeof(qemu_capabilities));
	/* QEMU's buffer for the reply is as long as what it sent. */
	int size = client_request(client, VFIO_USER_VERSION, &message, sizeof(message), NULL, 0,
				  &reply, sizeof(message));
	assert_true(size > (int)sizeof(reply.version));
	assert_int_equal(reply.version.major, 0);
	assert_int_equal(reply.version.minor, 0);
	assert_int_equal(((char *)&reply)[size - 1], '\0');
}

int client_write(struct client *client, uint32_t region, uint64_t offset, uint32_t count,
		 const void *data)
{
	struct {
		struct vfio_user_region_access access;
		uint8_t data[VFIO_USER_MAX_DATA];
	} message = {.access = {.offset = offset, .region = region, .count = count}};
	struct vfio_user_region_access reply;
	int size;

	memcpy(message.data, data, count);
	size = client_request(client, VFIO_USER_REGION_WRITE, &message,
			      sizeof(message.access) + count, NULL, 0, &reply, sizeof(reply));
	if (size < 0)
		return size;
	assert_int_equal(size, sizeof(reply));
	assert_memory_equal(&reply, &message.access, sizeof(reply));
	return 0;
}

int client_read(struct client *client, uint32_t region, uint64_t offset, uint32_t count, void *data)
{
	struct vfio_user_region_access access = {
		.offset = offset, .region = region, .count = count};
	struct {
		struct vfio_user_region_access access;
		uint8_t data[VFIO_USER_MAX_DATA];
	} reply;
	int size = client_request(client, VFIO_USER_REGION_READ, &access, sizeof(access), NULL, 0,
				  &reply, sizeof(reply));

	if (size < 0)
		return size;
	assert_int_equal(size, sizeof(reply.access) + count);
	assert_memory_equal(&reply.access, &access, sizeof(access));
	memcpy(data, reply.data, count);
	return 0;
}

void client_out(struct client *client, uint64_t offset, uint32_t value)
{
	assert_int_equal(client_write(client, 0, offset, sizeof(value), &value), 0);
}

uint32_t client_in(struct client *client, uint64_t offset)
{
	uint32_t value;

	assert_int_equal(client_read(client, 0, offset, sizeof(value), &value), 0);
	return value;
}

uint16_t client_config16(struct client *client, uint64_t offset)
{
	uint16_t value;

	assert_int_equal(
		client_read(client, VFIO_PCI_CONFIG_REGION_INDEX, offset, sizeof(value), &value),
		0);
	return value;
}

void client_set_config16(struct client *client, uint64_t offset, uint16_t value)
{
	assert_int_equal(
		client_write(client, VFIO_PCI_CONFIG_REGION_INDEX, offset, sizeof(value), &value),
		0);
}

int client_dma_map(struct client *client, uint64_t address, uint64_t size, uint64_t offset,
		   uint32_t flags, int fd)
{
	struct vfio_user_dma_map map = {.argsz = sizeof(map),
					.flags = flags,
					.offset = offset,
					.address = address,
					.size = size};

	return client_request(client, VFIO_USER_DMA_MAP, &map, sizeof(map), &fd, fd >= 0, NULL, 0);
}

int client_dma_unmap(struct client *client, uint64_t address, uint64_t size, uint32_t flags)
{
	struct vfio_user_dma_unmap unmap = {
		.argsz = sizeof(unmap), .flags = flags, .address = address, .size = size};
	struct vfio_user_dma_unmap reply;
	int result = client_request(client, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0,
				    &reply, sizeof(reply));

	if (result < 0)
		return result;
	assert_int_equal(result, sizeof(reply));
	assert_memory_equal(&unmap, &reply, sizeof(reply));
	return 0;
}

int client_set_irqs(struct client *client, uint32_t index, uint32_t flags, uint32_t start,
		    uint32_t count, const int *fds, unsigned num_fds)
{
	struct vfio_user_irq_set set = {.argsz = sizeof(set),
					.flags = flags,
					.index = index,
					.start = start,
					.count = count};

	return client_request(client, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), fds, num_fds,
			      NULL, 0);
}

uint64_t client_errors(const struct client *client, enum vfio_user_error error)
{
	return atomic_load(&client->counters.error[error]);
}

struct closer *test_closer(void)
{
	static struct closer *closer;

	if (closer == NULL)
		assert_int_equal(closer_create(&closer, NULL), 0);
	return closer;
}

unsigned count_open_fds(void)
{
	unsigned count = 0;
	DIR *directory;

	while (closers_waiting() > 0)
		sched_yield();
	directory = opendir("/proc/self/fd");
	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}
