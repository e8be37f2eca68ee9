/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "attach/vfio_user_server.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine/closer.h"

/*
 * Fairness: what one call of vfio_user_server_serve() may spend. A register write
 * costs one, so a burst of kicks goes through at once; a reset re-makes rings.
 */
#define BUDGET	       64
#define COST_WRITE     1
#define COST_OTHER     4
#define COST_EXPENSIVE 16
#define COST_RESET     BUDGET
/* A coalesced write may start and stop rings so often, no more. */
#define MAX_EXPENSIVE_IN_MULTI 8

void vfio_user_server_init(struct vfio_user_server *server, int fd, struct closer *closer,
			   struct vfio_user_function *function, const char *name,
			   struct log_limit *log_limit, struct vfio_user_counters *counters)
{
	vfio_user_socket_init(&server->socket, fd, closer);
	server->function = function;
	server->name = name;
	server->log_limit = log_limit;
	server->counters = counters;
	server->negotiated = false;
	server->reply_size = 0;
	server->reply_fd = -1;
}

void vfio_user_server_fini(struct vfio_user_server *server)
{
	vfio_user_socket_fini(&server->socket);
}

void vfio_user_count_error(struct vfio_user_counters *counters, enum vfio_user_error error)
{
	vfio_user_count(&counters->error[error]);
}

#define complain(server, kind, format, ...)                                                        \
	do {                                                                                       \
		vfio_user_count_error((server)->counters, VFIO_USER_ERROR_##kind);                 \
		log_limited((server)->log_limit, LOG_LEVEL_WARNING, "%s: %s: " format,             \
			    (server)->name, vfio_user_error_names[VFIO_USER_ERROR_##kind],         \
			    __VA_ARGS__);                                                          \
	} while (0)

/* ---- the commands: 0 or positive (expensive) with the reply filled in, or -errno ---- */

static void reply_put(struct vfio_user_server *server, const void *bytes, size_t size)
{
	memcpy(server->reply.payload + server->reply_size, bytes, size);
	server->reply_size += (uint32_t)size;
}

/* True if @text of @size bytes is JSON as VERSION may carry it. */
static bool capabilities_valid(struct vfio_user_server *server, const char *text, size_t size)
{
	json_error_t error;
	json_t *root, *capabilities;
	bool valid;

	if (size == 0)
		return true;
	if (text[size - 1] != '\0') {
		complain(server, VERSION, "%s", "capabilities without a terminating NUL");
		return false;
	}
	root = json_loads(text, 0, &error);
	if (root == NULL) {
		/* Not error.text, which quotes the client. */
		complain(server, VERSION, "capabilities are not JSON from byte %d on",
			 error.position);
		return false;
	}
	capabilities = json_object_get(root, "capabilities");
	valid = json_is_object(root) && (capabilities == NULL || json_is_object(capabilities));
	if (!valid)
		complain(server, VERSION, "%s", "capabilities are not a JSON object");
	json_decref(root);
	return valid;
}

static int command_version(struct vfio_user_server *server, struct vfio_user_message *message)
{
	struct vfio_user_version version;
	char ours[160];
	int length;

	memcpy(&version, message->payload, sizeof(version));
	if (server->negotiated) {
		complain(server, VERSION, "%s", "VERSION a second time");
		return -EINVAL;
	}
	if (version.major != VFIO_USER_MAJOR) {
		complain(server, VERSION,
			 "the client speaks version %u.%u, we %u.%u; use QEMU 10.1 "
			 "or later",
			 version.major, version.minor, VFIO_USER_MAJOR, VFIO_USER_MINOR);
		return -ENOTSUP;
	}
	if (!capabilities_valid(server, (const char *)message->payload + sizeof(version),
				message->payload_size - sizeof(version)))
		return -EINVAL;
	if (version.minor > VFIO_USER_MINOR)
		version.minor = VFIO_USER_MINOR;
	/* Must stay shorter than QEMU's own (198 bytes): it has no room for a longer reply. */
	length = snprintf(ours, sizeof(ours),
			  "{\"capabilities\":{\"max_msg_fds\":%d,\"max_data_xfer_size\":%d,"
			  "\"pgsizes\":4096,\"max_dma_maps\":%d,\"write_multiple\":true}}",
			  VFIO_USER_MAX_FDS, VFIO_USER_MAX_DATA, VFIO_USER_MAX_DMA_RANGES);
	reply_put(server, &version, sizeof(version));
	reply_put(server, ours, (size_t)length + 1);
	server->negotiated = true;
	return 0;
}

static int command_dma_map(struct vfio_user_server *server, struct vfio_user_message *message)
{
	struct vfio_user_dma_map map;
	int result;

	memcpy(&map, message->payload, sizeof(map));
	if (map.argsz < sizeof(map)) {
		complain(server, DMA, "DMA_MAP with argsz %u, %zu expected", map.argsz,
			 sizeof(map));
		return -EINVAL;
	}
	result = server->function->ops->dma_map(server->function, &map, &message->fds);
	if (result < 0)
		complain(server, DMA,
			 "DMA_MAP of address 0x%" PRIx64 ", %" PRIu64 " bytes, offset 0x%" PRIx64
			 ", flags 0x%x: %s",
			 map.address, map.size, map.offset, map.flags, strerror(-result));
	return result;
}

static int command_dma_unmap(struct vfio_user_server *server, struct vfio_user_message *message)
{
	struct vfio_user_dma_unmap unmap;
	int result;

	memcpy(&unmap, message->payload, sizeof(unmap));
	if (unmap.argsz < sizeof(unmap) || (unmap.flags & ~(uint32_t)VFIO_DMA_UNMAP_FLAG_ALL) != 0)
		result = -EINVAL;
	else
		result = server->function->ops->dma_unmap(server->function, &unmap);
	if (result < 0) {
		complain(server, DMA,
			 "DMA_UNMAP of address 0x%" PRIx64 ", %" PRIu64 " bytes, flags 0x%x: %s",
			 unmap.address, unmap.size, unmap.flags, strerror(-result));
		return result;
	}
	reply_put(server, &unmap, sizeof(unmap));
	return result;
}

static int command_device_info(struct vfio_user_server *server, struct vfio_user_message *message)
{
	struct vfio_user_device_info info;

	memcpy(&info, message->payload, sizeof(info));
	if (info.argsz < sizeof(info)) {
		complain(server, ARGUMENT, "GET_INFO with argsz %u", info.argsz);
		return -EINVAL;
	}
	info = (struct vfio_user_device_info){
		.argsz = sizeof(info),
		.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		.num_regions = VFIO_PCI_NUM_REGIONS,
		.num_irqs = VFIO_USER_NUM_IRQS,
	};
	reply_put(server, &info, sizeof(info));
	return 0;
}

static int command_region_info(struct vfio_user_server *server, struct vfio_user_message *message)
{
	const struct vfio_user_region *region;
	struct vfio_user_region_info info;
	uint32_t room;

	memcpy(&info, message->payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_REGIONS) {
		complain(server, ARGUMENT, "GET_REGION_INFO of region %u with argsz %u", info.index,
			 info.argsz);
		return -EINVAL;
	}
	room = info.argsz;
	region = &server->function->regions[info.index];
	info = (struct vfio_user_region_info){
		.argsz = sizeof(info),
		.index = info.index,
		.size = region->size,
	};
	if (region->size > 0)
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (region->mmap_size == 0) {
		reply_put(server, &info, sizeof(info));
		return 0;
	}
	struct vfio_user_sparse_area area = {
		.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP,
		.version = 1,
		.nr_areas = 1,
		.size = region->mmap_size,
	};
	info.flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	info.argsz = sizeof(info) + sizeof(area);
	/* Also where the client has no room for it yet: QEMU takes 0 for an error. */
	info.cap_offset = sizeof(info);
	reply_put(server, &info, sizeof(info));
	if (room >= info.argsz)
		reply_put(server, &area, sizeof(area));
	server->reply_fd = region->mmap_fd;
	return 0;
}

static int command_irq_info(struct vfio_user_server *server, struct vfio_user_message *message)
{
	struct vfio_user_irq_info info;

	memcpy(&info, message->payload, sizeof(info));
	if (info.argsz < sizeof(info)) {
		complain(server, ARGUMENT, "GET_IRQ_INFO with argsz %u", info.argsz);
		return -EINVAL;
	}
	/* QEMU asks for the error and request interrupts too: no fault of its guest's. */
	if (info.index >= VFIO_USER_NUM_IRQS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.count = server->function->num_irqs[info.index];
	info.flags = info.count > 0 ? VFIO_IRQ_INFO_EVENTFD : 0;
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX && info.count > 0)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	reply_put(server, &info, sizeof(info));
	return 0;
}

static bool is_eventfd(int fd)
{
	char path[32], target[32];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return strcmp(target, "anon_inode:[eventfd]") == 0;
}

static bool single_bit(uint32_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

static int command_set_irqs(struct vfio_user_server *server, struct vfio_user_message *message)
{
	size_t num_bools = message->payload_size - sizeof(struct vfio_user_irq_set);
	const uint8_t *bools = message->payload + sizeof(struct vfio_user_irq_set);
	struct vfio_user_irq_set set;
	uint32_t data, action, available;

	memcpy(&set, message->payload, sizeof(set));
	data = set.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	action = set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	if (!single_bit(data) || !single_bit(action) || (set.flags & ~(data | action)) != 0 ||
	    set.index >= VFIO_USER_NUM_IRQS) {
		complain(server, IRQ, "SET_IRQS of index %u with flags 0x%x", set.index, set.flags);
		return -EINVAL;
	}
	available = server->function->num_irqs[set.index];
	if (set.start > available || set.count > available - set.start ||
	    (set.count == 0 && (data != VFIO_IRQ_SET_DATA_NONE || set.start != 0))) {
		complain(server, IRQ,
			 "SET_IRQS of index %u, %u interrupts from %u on, there are %u", set.index,
			 set.count, set.start, available);
		return -EINVAL;
	}
	if (data == VFIO_IRQ_SET_DATA_BOOL && num_bools < set.count) {
		complain(server, SIZE, "SET_IRQS for %u interrupts with %zu booleans", set.count,
			 num_bools);
		return -EINVAL;
	}
	if (message->fds.count != 0 &&
	    (data != VFIO_IRQ_SET_DATA_EVENTFD || message->fds.count != set.count)) {
		complain(server, DESCRIPTORS,
			 "SET_IRQS for %u interrupts, flags 0x%x, with %u descriptors", set.count,
			 set.flags, message->fds.count);
		return -EINVAL;
	}
	for (unsigned i = 0; i < message->fds.count; i++) {
		if (!is_eventfd(message->fds.fd[i])) {
			complain(server, DESCRIPTORS,
				 "SET_IRQS: descriptor %u is not an eventfd (checked in "
				 "/proc/self/fd, which must be mounted)",
				 i);
			return -EINVAL;
		}
	}
	return server->function->ops->set_irqs(server->function, &set, bools, &message->fds);
}

/* The one door for accesses to regions. */
static bool access_valid(struct vfio_user_server *server,
			 const struct vfio_user_region_access *access, const char *what)
{
	uint64_t size;

	if (access->region < VFIO_PCI_NUM_REGIONS) {
		size = server->function->regions[access->region].size;
		if (access->count > 0 && access->count <= VFIO_USER_MAX_DATA &&
		    access->count <= size && access->offset <= size - access->count)
			return true;
	}
	complain(server, ACCESS, "%s %u bytes at 0x%" PRIx64 " of region %u", what, access->count,
		 access->offset, access->region);
	return false;
}

static int command_region_read(struct vfio_user_server *server, struct vfio_user_message *message)
{
	struct vfio_user_region_access access;
	int result;

	memcpy(&access, message->payload, sizeof(access));
	if (!access_valid(server, &access, "read of"))
		return -EINVAL;
	reply_put(server, &access, sizeof(access));
	result = server->function->ops->region_read(server->function, access.region, access.offset,
						    access.count,
						    server->reply.payload + server->reply_size);
	server->reply_size += access.count;
	return result;
}

/* The hot one: a kick comes this way. */
static int command_region_write(struct vfio_user_server *server, struct vfio_user_message *message)
{
	struct vfio_user_region_access access;

	memcpy(&access, message->payload, sizeof(access));
	if (!access_valid(server, &access, "write of"))
		return -EINVAL;
	if (message->payload_size - sizeof(access) != access.count) {
		complain(server, SIZE, "write of %u bytes with %zu bytes of data", access.count,
			 message->payload_size - sizeof(access));
		return -EINVAL;
	}
	reply_put(server, &access, sizeof(access));
	return server->function->ops->region_write(server->function, access.region, access.offset,
						   access.count, message->payload + sizeof(access));
}

static int command_region_write_multi(struct vfio_user_server *server,
				      struct vfio_user_message *message)
{
	uint64_t count;
	unsigned expensive = 0;

	memcpy(&count, message->payload, sizeof(count));
	if (count > VFIO_USER_MAX_MULTI ||
	    message->payload_size - sizeof(count) < count * sizeof(struct vfio_user_multi_write)) {
		complain(server, SIZE, "%" PRIu64 " coalesced writes in %zu bytes, at most %d",
			 count, message->payload_size, VFIO_USER_MAX_MULTI);
		return -EINVAL;
	}
	for (uint64_t i = 0; i < count; i++) {
		struct vfio_user_multi_write write;
		struct vfio_user_region_access access;
		int result;

		memcpy(&write, message->payload + sizeof(count) + i * sizeof(write), sizeof(write));
		access.offset = write.offset;
		access.region = write.region;
		access.count = write.count;
		if (!access_valid(server, &access, "coalesced write of"))
			return -EINVAL;
		if (access.count > sizeof(write.data)) {
			complain(server, SIZE, "coalesced write of %u bytes, at most %zu",
				 access.count, sizeof(write.data));
			return -EINVAL;
		}
		result = server->function->ops->region_write(
			server->function, access.region, access.offset, access.count, write.data);
		if (result < 0)
			return result;
		if (result > 0 && ++expensive > MAX_EXPENSIVE_IN_MULTI) {
			complain(server, ARGUMENT,
				 "more than %d writes that start or stop rings in "
				 "one message",
				 MAX_EXPENSIVE_IN_MULTI);
			return -EINVAL;
		}
	}
	reply_put(server, &count, sizeof(count));
	return expensive > 0;
}

static int command_reset(struct vfio_user_server *server, struct vfio_user_message *message)
{
	(void)message;
	server->function->ops->reset(server->function);
	return 0;
}

/* ---- dispatch ---- */

struct command {
	const char *name;
	int (*run)(struct vfio_user_server *server, struct vfio_user_message *message);
	uint32_t min_payload, max_payload;
	uint32_t max_fds;
	int cost;
};

#define ANY_PAYLOAD (VFIO_USER_MAX_MESSAGE - sizeof(struct vfio_user_header))

/* Commands without a function are known, but nothing that we serve. */
static const struct command commands[VFIO_USER_COMMAND_COUNT] = {
	[VFIO_USER_VERSION] = {"VERSION", command_version, sizeof(struct vfio_user_version),
			       ANY_PAYLOAD, 0, BUDGET},
	[VFIO_USER_DMA_MAP] = {"DMA_MAP", command_dma_map, sizeof(struct vfio_user_dma_map),
			       sizeof(struct vfio_user_dma_map), 1, COST_OTHER},
	[VFIO_USER_DMA_UNMAP] = {"DMA_UNMAP", command_dma_unmap, sizeof(struct vfio_user_dma_unmap),
				 sizeof(struct vfio_user_dma_unmap), 0, COST_OTHER},
	[VFIO_USER_DEVICE_GET_INFO] = {"DEVICE_GET_INFO", command_device_info,
				       sizeof(struct vfio_user_device_info),
				       sizeof(struct vfio_user_device_info), 0, COST_OTHER},
	[VFIO_USER_DEVICE_GET_REGION_INFO] = {"DEVICE_GET_REGION_INFO", command_region_info,
					      sizeof(struct vfio_user_region_info),
					      sizeof(struct vfio_user_region_info), 0, COST_OTHER},
	[VFIO_USER_DEVICE_GET_REGION_IO_FDS] = {.name = "DEVICE_GET_REGION_IO_FDS"},
	[VFIO_USER_DEVICE_GET_IRQ_INFO] = {"DEVICE_GET_IRQ_INFO", command_irq_info,
					   sizeof(struct vfio_user_irq_info),
					   sizeof(struct vfio_user_irq_info), 0, COST_OTHER},
	[VFIO_USER_DEVICE_SET_IRQS] = {"DEVICE_SET_IRQS", command_set_irqs,
				       sizeof(struct vfio_user_irq_set), ANY_PAYLOAD,
				       VFIO_USER_MAX_FDS, COST_OTHER},
	[VFIO_USER_REGION_READ] = {"REGION_READ", command_region_read,
				   sizeof(struct vfio_user_region_access),
				   sizeof(struct vfio_user_region_access), 0, COST_OTHER},
	[VFIO_USER_REGION_WRITE] = {"REGION_WRITE", command_region_write,
				    sizeof(struct vfio_user_region_access) + 1,
				    sizeof(struct vfio_user_region_access) + VFIO_USER_MAX_DATA, 0,
				    COST_WRITE},
	[VFIO_USER_DMA_READ] = {.name = "DMA_READ"},
	[VFIO_USER_DMA_WRITE] = {.name = "DMA_WRITE"},
	[VFIO_USER_DEVICE_RESET] = {"DEVICE_RESET", command_reset, 0, 0, 0, COST_RESET},
	[VFIO_USER_DIRTY_PAGES] = {.name = "DIRTY_PAGES"},
	[VFIO_USER_REGION_WRITE_MULTI] = {"REGION_WRITE_MULTI", command_region_write_multi,
					  sizeof(uint64_t), ANY_PAYLOAD, 0, COST_EXPENSIVE},
	[VFIO_USER_DEVICE_FEATURE] = {.name = "DEVICE_FEATURE"},
	[VFIO_USER_MIG_DATA_READ] = {.name = "MIG_DATA_READ"},
	[VFIO_USER_MIG_DATA_WRITE] = {.name = "MIG_DATA_WRITE"},
};

/* The command of @message if it may be run; else NULL and the errno for the client. */
static const struct command *find_command(struct vfio_user_server *server,
					  const struct vfio_user_message *message, int *error)
{
	const struct command *command = NULL;

	*error = -ENOTSUP;
	if (message->header.command < VFIO_USER_COMMAND_COUNT)
		command = &commands[message->header.command];
	if (command == NULL || command->name == NULL) {
		complain(server, COMMAND, "command %u", message->header.command);
		return NULL;
	}
	if (command->run == NULL)
		return NULL;
	*error = -EINVAL;
	if (message->payload_size < command->min_payload ||
	    message->payload_size > command->max_payload) {
		complain(server, SIZE, "%s with %zu bytes, %u to %u expected", command->name,
			 message->payload_size, command->min_payload, command->max_payload);
		return NULL;
	}
	if (message->fds.count > command->max_fds) {
		complain(server, DESCRIPTORS, "%s with %u descriptors, at most %u", command->name,
			 message->fds.count, command->max_fds);
		return NULL;
	}
	return command;
}

static int send_reply(struct vfio_user_server *server, const struct vfio_user_message *message,
		      int result)
{
	struct vfio_user_header *header = &server->reply.header;
	int error;

	if (message->header.flags & VFIO_USER_NO_REPLY)
		return 0;
	*header = (struct vfio_user_header){
		.id = message->header.id,
		.command = message->header.command,
		.size = sizeof(*header),
		.flags = VFIO_USER_TYPE_REPLY,
	};
	if (result < 0) {
		header->flags |= VFIO_USER_ERROR;
		header->error = (uint32_t)-result;
		server->reply_fd = -1;
	} else {
		header->size += server->reply_size;
	}
	error = vfio_user_socket_send(&server->socket, &server->reply, header->size,
				      server->reply_fd);
	if (error == -ENOBUFS)
		complain(server, STALLED,
			 "the client does not read: over %d bytes of replies wait for it; "
			 "disconnecting it",
			 VFIO_USER_MAX_QUEUE);
	return error;
}

/* Runs one message. Its cost, or a negative errno: close the connection. */
static int serve_message(struct vfio_user_server *server, struct vfio_user_message *message)
{
	const struct command *command;
	int result, error;

	vfio_user_count(&server->counters->messages);
	if ((message->header.flags & VFIO_USER_TYPE_MASK) != VFIO_USER_TYPE_COMMAND) {
		complain(server, HEADER, "message of type %u, commands only; disconnecting",
			 message->header.flags & VFIO_USER_TYPE_MASK);
		return -EPROTO;
	}
	if (!server->negotiated && message->header.command != VFIO_USER_VERSION) {
		complain(server, VERSION, "command %u before VERSION; disconnecting",
			 message->header.command);
		return -EPROTO;
	}
	server->reply_size = 0;
	server->reply_fd = -1;
	command = find_command(server, message, &result);
	if (command != NULL)
		result = command->run(server, message);
	error = send_reply(server, message, result);
	if (error < 0)
		return error;
	if (!server->negotiated)
		return -EPROTO; /* the reply has told the client why */
	if (command == NULL)
		return COST_OTHER;
	return result > 0 ? COST_EXPENSIVE : command->cost;
}

/* Runs what is complete while *budget lasts. */
static int serve_buffered(struct vfio_user_server *server, int *budget)
{
	struct vfio_user_message message;
	int result;

	while (*budget > 0) {
		result = vfio_user_socket_next(&server->socket, &message);
		if (result < 0)
			complain(server, HEADER,
				 "message shorter than %zu or longer than %d bytes; "
				 "disconnecting",
				 sizeof(struct vfio_user_header), VFIO_USER_MAX_MESSAGE);
		if (result <= 0)
			return result;
		result = serve_message(server, &message);
		vfio_user_fds_close(&message.fds, server->socket.closer);
		if (result < 0)
			return result;
		*budget -= result;
	}
	return 0;
}

static int receive(struct vfio_user_server *server)
{
	int result;

	if (closer_crowded(server->socket.closer)) {
		complain(server, DESCRIPTORS,
			 "over %d descriptors of the client wait for one of them, which cannot be "
			 "closed at once; disconnecting",
			 CLOSER_CROWD);
		return -EMFILE;
	}
	result = vfio_user_socket_receive(&server->socket);
	if (result == -ECONNRESET && vfio_user_socket_in_message(&server->socket))
		complain(server, TRUNCATED, "%s",
			 "the client went away in the middle of a message");
	if (result == -EMFILE)
		complain(server, DESCRIPTORS,
			 "more than %d descriptors with a message, or the daemon has hardly any "
			 "left (LimitNOFILE); disconnecting",
			 VFIO_USER_MAX_FDS);
	return result;
}

int vfio_user_server_serve(struct vfio_user_server *server, uint32_t epoll_events)
{
	int budget = BUDGET;
	int result = 0;

	if (epoll_events & EPOLLOUT)
		result = vfio_user_socket_flush(&server->socket);
	if (result >= 0)
		result = serve_buffered(server, &budget);
	if (result >= 0 && budget > 0 && (epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
		result = receive(server);
		if (result > 0)
			result = serve_buffered(server, &budget);
	}
	if (result < 0)
		return result;
	/*
	 * Messages left over for want of budget are no event for epoll: that the
	 * socket can be written to is, and it usually can, so we are called again.
	 */
	if (vfio_user_socket_must_flush(&server->socket) ||
	    vfio_user_socket_has_message(&server->socket))
		return EPOLLIN | EPOLLOUT;
	return EPOLLIN;
}
