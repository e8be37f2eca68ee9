/* SPDX-License-Identifier: BSD-2-Clause */
#include "connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What QEMU 10 asks for. */
static const char qemu_capabilities[] =
	"{\"capabilities\": {\"max_msg_fds\": 8, \"max_data_xfer_size\": 1048576, "
	"\"pgsizes\": 4096, \"max_dma_maps\": 65536, \"write_multiple\": true}}";

int vu_connect(struct vu_connection *connection, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	memset(connection, 0, sizeof(*connection));
	connection->fd = -1;
	connection->max_fds = 1;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	connection->fd = fd;
	pthread_mutex_init(&connection->send_lock, NULL);
	pthread_mutex_init(&connection->request_lock, NULL);
	return 0;
}

void vu_disconnect(struct vu_connection *connection)
{
	if (connection->fd < 0)
		return;
	close(connection->fd);
	connection->fd = -1;
	pthread_mutex_destroy(&connection->send_lock);
	pthread_mutex_destroy(&connection->request_lock);
}

static void attach_fds(struct msghdr *message, void *control, size_t control_size, const int *fds,
		       unsigned num_fds)
{
	struct cmsghdr *header;

	if (num_fds == 0)
		return;
	memset(control, 0, control_size);
	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
	header = CMSG_FIRSTHDR(message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
	memcpy(CMSG_DATA(header), fds, num_fds * sizeof(int));
}

static int send_all(struct vu_connection *connection, struct iovec *iov, unsigned num_iov,
		    const int *fds, unsigned num_fds)
{
	char control[CMSG_SPACE(253 * sizeof(int))];
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = num_iov};
	int result = 0;

	attach_fds(&message, control, sizeof(control), fds, num_fds);
	pthread_mutex_lock(&connection->send_lock);
	connection->messages++;
	while (message.msg_iovlen > 0) {
		ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			result = errno == ECONNRESET ? -EPIPE : -errno;
			break;
		}
		message.msg_control = NULL;
		message.msg_controllen = 0;
		while (message.msg_iovlen > 0 && (size_t)sent >= message.msg_iov->iov_len) {
			sent -= (ssize_t)message.msg_iov->iov_len;
			message.msg_iov++;
			message.msg_iovlen--;
		}
		if (message.msg_iovlen > 0) {
			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + sent;
			message.msg_iov->iov_len -= (size_t)sent;
		}
	}
	pthread_mutex_unlock(&connection->send_lock);
	return result;
}

int vu_send_raw(struct vu_connection *connection, const void *bytes, size_t size, const int *fds,
		unsigned num_fds)
{
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = size};

	return send_all(connection, &iov, 1, fds, num_fds);
}

int vu_send(struct vu_connection *connection, uint16_t command, uint32_t flags, const void *payload,
	    size_t size, const int *fds, unsigned num_fds)
{
	struct vu_header header = {
		.id = __atomic_add_fetch(&connection->next_id, 1, __ATOMIC_RELAXED),
		.command = command,
		.size = (uint32_t)(sizeof(header) + size),
		.flags = flags,
	};
	struct iovec iov[2] = {
		{.iov_base = &header, .iov_len = sizeof(header)},
		{.iov_base = (void *)payload, .iov_len = size},
	};
	int error = send_all(connection, iov, size > 0 ? 2 : 1, fds, num_fds);

	return error < 0 ? error : header.id;
}

static void take_fds(struct msghdr *message, struct vu_message *into)
{
	struct cmsghdr *header;

	for (header = CMSG_FIRSTHDR(message); header != NULL;
	     header = CMSG_NXTHDR(message, header)) {
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		const int *fds = (const int *)CMSG_DATA(header);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, &fds[i], sizeof(fd));
			if (into->num_fds < VU_MAX_FDS)
				into->fds[into->num_fds++] = fd;
			else
				close(fd);
		}
	}
}

/* Reads exactly @size bytes, collecting descriptors. */
static int receive_bytes(struct vu_connection *connection, struct vu_message *into, void *bytes,
			 size_t size)
{
	char control[CMSG_SPACE(VU_MAX_FDS * sizeof(int))];
	size_t done = 0;

	while (done < size) {
		struct pollfd readable = {.fd = connection->fd, .events = POLLIN};
		struct iovec iov = {.iov_base = (char *)bytes + done, .iov_len = size - done};
		struct msghdr message = {.msg_iov = &iov,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control)};
		ssize_t got;
		int ready = poll(&readable, 1, VU_TIMEOUT_MS);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready < 0)
			return -errno;
		if (ready == 0)
			return -ETIMEDOUT;
		got = recvmsg(connection->fd, &message, MSG_CMSG_CLOEXEC);
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return -EPIPE;
		if (got < 0)
			return -errno;
		take_fds(&message, into);
		done += (size_t)got;
	}
	return 0;
}

int vu_receive(struct vu_connection *connection, struct vu_message *message)
{
	int error;

	message->num_fds = 0;
	message->size = 0;
	error = receive_bytes(connection, message, &message->header, sizeof(message->header));
	if (error < 0)
		return error;
	if (message->header.size < sizeof(message->header) ||
	    message->header.size > sizeof(message->header) + sizeof(message->payload))
		return -EPROTO;
	message->size = message->header.size - sizeof(message->header);
	return receive_bytes(connection, message, message->payload, message->size);
}

void vu_message_close_fds(struct vu_message *message)
{
	for (unsigned i = 0; i < message->num_fds; i++)
		close(message->fds[i]);
	message->num_fds = 0;
}

static int reply_result(const struct vu_message *message, uint16_t command, uint16_t id)
{
	const struct vu_header *header = &message->header;

	if ((header->flags & VU_TYPE_MASK) != VU_REPLY || header->command != command ||
	    header->id != id)
		return -EPROTO;
	if ((header->flags & VU_ERROR) == 0)
		return 0;
	if (message->size != 0)
		return -EPROTO; /* an error reply is a header only */
	return header->error != 0 ? -(int)header->error : -EIO;
}

int vu_request(struct vu_connection *connection, uint16_t command, const void *payload, size_t size,
	       const int *fds, unsigned num_fds, void *reply, size_t reply_size, int *reply_fd)
{
	static _Thread_local struct vu_message message;
	int result, id;

	if (reply_fd != NULL)
		*reply_fd = -1;
	message.num_fds = 0;
	pthread_mutex_lock(&connection->request_lock);
	id = vu_send(connection, command, 0, payload, size, fds, num_fds);
	result = id < 0 ? id : vu_receive(connection, &message);
	pthread_mutex_unlock(&connection->request_lock);
	if (result == 0)
		result = reply_result(&message, command, (uint16_t)id);
	if (result == 0 && reply != NULL) {
		size_t copied = message.size < reply_size ? message.size : reply_size;

		memcpy(reply, message.payload, copied);
		result = (int)message.size;
	}
	if (message.num_fds == 1 && result >= 0 && reply_fd != NULL) {
		*reply_fd = message.fds[0];
		message.num_fds = 0;
	}
	if (message.num_fds != 0 && result >= 0)
		result = -EPROTO;
	vu_message_close_fds(&message);
	return result;
}

bool vu_wait_closed(struct vu_connection *connection)
{
	static _Thread_local struct vu_message message;
	int result;

	do {
		result = vu_receive(connection, &message);
		vu_message_close_fds(&message);
	} while (result == 0);
	return result == -EPIPE;
}

static void read_capabilities(struct vu_connection *connection, const char *json)
{
	const char *found;

	snprintf(connection->server_caps, sizeof(connection->server_caps), "%s", json);
	found = strstr(json, "\"max_msg_fds\"");
	if (found != NULL && (found = strchr(found, ':')) != NULL)
		connection->max_fds = (uint32_t)strtoul(found + 1, NULL, 10);
	if (connection->max_fds == 0 || connection->max_fds > 8)
		connection->max_fds = 8; /* QEMU never sends more */
	found = strstr(json, "\"write_multiple\"");
	if (found != NULL && (found = strchr(found, ':')) != NULL)
		connection->write_multi =
			strncmp(found + 1 + strspn(found + 1, " "), "true", 4) == 0;
}

int vu_negotiate(struct vu_connection *connection)
{
	struct {
		struct vu_version version;
		char json[sizeof(qemu_capabilities)];
	} ask = {.version = {.major = 0, .minor = 0}};
	struct {
		struct vu_version version;
		char json[sizeof(connection->server_caps)];
	} answer = {0};
	int size;

	memcpy(ask.json, qemu_capabilities, sizeof(qemu_capabilities));
	size = vu_request(connection, VU_VERSION, &ask, sizeof(ask), NULL, 0, &answer,
			  sizeof(answer) - 1, NULL);
	if (size < 0)
		return size;
	if ((size_t)size < sizeof(answer.version) || answer.version.major != 0 ||
	    answer.version.minor != 0)
		return -EPROTO;
	read_capabilities(connection, answer.json);
	return 0;
}

int vu_get_info(struct vu_connection *connection, struct vu_device_info *info)
{
	struct vu_device_info ask = {.argsz = sizeof(ask)};
	int size = vu_request(connection, VU_GET_INFO, &ask, sizeof(ask), NULL, 0, info,
			      sizeof(*info), NULL);

	if (size < 0)
		return size;
	return (size_t)size < sizeof(*info) ? -EPROTO : 0;
}

int vu_get_region_info(struct vu_connection *connection, uint32_t index,
		       struct vu_region_info *info, size_t size, int *fd)
{
	uint32_t argsz = sizeof(*info);

	for (;;) {
		struct vu_region_info ask = {.argsz = argsz, .index = index};
		int got = vu_request(connection, VU_GET_REGION_INFO, &ask, sizeof(ask), NULL, 0,
				     info, size, fd);

		if (got < 0)
			return got;
		if ((size_t)got < sizeof(*info) || info->index != index)
			return -EPROTO;
		if (info->argsz <= argsz)
			return info->argsz <= (uint32_t)got ? 0 : -EPROTO;
		/* The capabilities did not fit: again, with room. */
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		if (argsz != sizeof(*info) || info->argsz > size)
			return -EPROTO;
		argsz = info->argsz;
	}
}

int vu_get_irq_info(struct vu_connection *connection, uint32_t index, struct vu_irq_info *info)
{
	struct vu_irq_info ask = {.argsz = sizeof(ask), .index = index};
	int size = vu_request(connection, VU_GET_IRQ_INFO, &ask, sizeof(ask), NULL, 0, info,
			      sizeof(*info), NULL);

	if (size < 0)
		return size;
	return (size_t)size < sizeof(*info) || info->index != index ? -EPROTO : 0;
}

int vu_set_irqs(struct vu_connection *connection, uint32_t flags, uint32_t index, uint32_t start,
		uint32_t count, const int *fds)
{
	unsigned chunk = flags & VU_IRQ_DATA_EVENTFD ? connection->max_fds : count;
	unsigned done = 0;

	do {
		unsigned now = count - done < chunk ? count - done : chunk;
		struct vu_irq_set set = {
			.argsz = sizeof(set),
			.flags = flags,
			.index = index,
			.start = start + done,
			.count = now,
		};
		int error = vu_request(connection, VU_SET_IRQS, &set, sizeof(set),
				       fds != NULL ? fds + done : NULL, fds != NULL ? now : 0, NULL,
				       0, NULL);

		if (error < 0)
			return error;
		done += now;
	} while (done < count);
	return 0;
}

int vu_dma_map(struct vu_connection *connection, uint32_t flags, uint64_t address, uint64_t size,
	       int fd, uint64_t offset)
{
	struct vu_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.offset = offset,
		.address = address,
		.size = size,
	};

	return vu_request(connection, VU_DMA_MAP, &map, sizeof(map), &fd, fd >= 0 ? 1 : 0, NULL, 0,
			  NULL);
}

int vu_dma_unmap(struct vu_connection *connection, uint64_t address, uint64_t size)
{
	struct vu_dma_unmap unmap = {.argsz = sizeof(unmap), .address = address, .size = size};

	return vu_request(connection, VU_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0, NULL, 0, NULL);
}

int vu_reset(struct vu_connection *connection)
{
	return vu_request(connection, VU_RESET, NULL, 0, NULL, 0, NULL, 0, NULL);
}

int vu_region_read(struct vu_connection *connection, uint32_t region, uint64_t offset, void *data,
		   uint32_t count)
{
	struct vu_region_access ask = {.offset = offset, .region = region, .count = count};
	struct {
		struct vu_region_access access;
		uint8_t data[4096];
	} answer;
	int size;

	if (count > sizeof(answer.data))
		return -EINVAL;
	memset(&answer.access, 0, sizeof(answer.access));
	size = vu_request(connection, VU_REGION_READ, &ask, sizeof(ask), NULL, 0, &answer,
			  sizeof(answer), NULL);
	if (size < 0)
		return size;
	if ((size_t)size != sizeof(ask) + count || answer.access.count != count ||
	    answer.access.offset != offset || answer.access.region != region)
		return -EPROTO;
	memcpy(data, answer.data, count);
	return 0;
}

struct write_message {
	struct vu_region_access access;
	uint8_t data[4096];
};

static size_t fill_write(struct write_message *message, uint32_t region, uint64_t offset,
			 const void *data, uint32_t count)
{
	message->access =
		(struct vu_region_access){.offset = offset, .region = region, .count = count};
	memcpy(message->data, data, count);
	return sizeof(message->access) + count;
}

int vu_region_write(struct vu_connection *connection, uint32_t region, uint64_t offset,
		    const void *data, uint32_t count)
{
	struct vu_region_access answer = {0};
	struct write_message message;
	int size;

	if (count > sizeof(message.data))
		return -EINVAL;
	size = vu_request(connection, VU_REGION_WRITE, &message,
			  fill_write(&message, region, offset, data, count), NULL, 0, &answer,
			  sizeof(answer), NULL);
	if (size < 0)
		return size;
	return (size_t)size != sizeof(answer) || answer.count != count ? -EPROTO : 0;
}

int vu_region_write_posted(struct vu_connection *connection, uint32_t region, uint64_t offset,
			   const void *data, uint32_t count)
{
	struct write_message message;
	int id;

	if (count > sizeof(message.data))
		return -EINVAL;
	id = vu_send(connection, VU_REGION_WRITE, VU_NO_REPLY, &message,
		     fill_write(&message, region, offset, data, count), NULL, 0);
	return id < 0 ? id : 0;
}

int vu_region_write_multi(struct vu_connection *connection, const struct vu_write_one *writes,
			  unsigned count)
{
	struct {
		struct vu_write_multi multi;
		struct vu_write_one writes[200];
	} message = {.multi = {.count = count}};
	int id;

	if (count > 200)
		return -EINVAL;
	memcpy(message.writes, writes, count * sizeof(*writes));
	id = vu_send(connection, VU_REGION_WRITE_MULTI, VU_NO_REPLY, &message,
		     sizeof(message.multi) + count * sizeof(*writes), NULL, 0);
	return id < 0 ? id : 0;
}
