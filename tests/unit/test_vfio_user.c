/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vfio-user protocol on a function that only writes down what reaches it:
 * whole, broken and hostile messages, descriptors, slow clients.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_attach_fixture.h"

#define REGION_SIZE 4096
#define NUM_VECTORS 20

static struct {
	struct vfio_user_function function; /* first */
	unsigned reads, writes, maps, unmaps, resets, irqs;
	uint64_t last_offset;
	uint32_t last_count;
	uint8_t last_data[8];
	struct vfio_user_irq_set last_set;
	unsigned last_num_fds;
	int write_result;
} probe;

static int probe_read(struct vfio_user_function *function, uint32_t region, uint64_t offset,
		      uint32_t count, uint8_t *data)
{
	(void)function;
	(void)region;
	probe.reads++;
	memset(data, (int)(offset & 0xff), count);
	return 0;
}

static int probe_write(struct vfio_user_function *function, uint32_t region, uint64_t offset,
		       uint32_t count, const uint8_t *data)
{
	(void)function;
	(void)region;
	probe.writes++;
	probe.last_offset = offset;
	probe.last_count = count;
	memcpy(probe.last_data, data, count < 8 ? count : 8);
	return probe.write_result;
}

static int probe_set_irqs(struct vfio_user_function *function, const struct vfio_user_irq_set *set,
			  const uint8_t *bools, struct vfio_user_fds *fds)
{
	(void)function;
	(void)bools;
	probe.irqs++;
	probe.last_set = *set;
	probe.last_num_fds = fds->count;
	if (fds->count > 0)
		close(vfio_user_fds_take(fds, 0));
	return 0;
}

static int probe_dma_map(struct vfio_user_function *function, const struct vfio_user_dma_map *map,
			 struct vfio_user_fds *fds)
{
	(void)function;
	(void)map;
	(void)fds;
	probe.maps++;
	return 0;
}

static int probe_dma_unmap(struct vfio_user_function *function,
			   const struct vfio_user_dma_unmap *unmap)
{
	(void)function;
	(void)unmap;
	probe.unmaps++;
	return 0;
}

static void probe_reset(struct vfio_user_function *function)
{
	(void)function;
	probe.resets++;
}

static const struct vfio_user_function_ops probe_ops = {
	.region_read = probe_read,
	.region_write = probe_write,
	.set_irqs = probe_set_irqs,
	.dma_map = probe_dma_map,
	.dma_unmap = probe_dma_unmap,
	.reset = probe_reset,
};

static struct client client;
static unsigned open_fds;

static int setup_connected(void **state)
{
	(void)state;
	open_fds = count_open_fds();
	memset(&probe, 0, sizeof(probe));
	probe.function.ops = &probe_ops;
	probe.function.regions[0].size = REGION_SIZE;
	probe.function.regions[VFIO_PCI_CONFIG_REGION_INDEX].size = 256;
	probe.function.num_irqs[VFIO_PCI_MSIX_IRQ_INDEX] = NUM_VECTORS;
	client_connect(&client, &probe.function);
	return 0;
}

static int setup_negotiated(void **state)
{
	setup_connected(state);
	client_negotiate(&client);
	return 0;
}

/* Whatever a test did, not a descriptor is left over. */
static int teardown(void **state)
{
	(void)state;
	client_disconnect(&client);
	assert_int_equal(count_open_fds(), open_fds);
	return 0;
}

/* ---- version ---- */

static void a_command_before_version_ends_the_connection(void **state)
{
	(void)state;
	client_send(&client, VFIO_USER_DEVICE_RESET, 0, NULL, 0, NULL, 0);
	client_serve(&client);
	assert_int_equal(client.result, -EPROTO);
	assert_int_equal(probe.resets, 0);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_VERSION), 1);
}

static void version_is_refused(const void *message, size_t size, int error)
{
	assert_int_equal(
		client_request(&client, VFIO_USER_VERSION, message, size, NULL, 0, NULL, 0), error);
	assert_int_equal(client.result, -EPROTO);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_VERSION), 1);
}

static void another_major_version_is_refused(void **state)
{
	struct vfio_user_version version = {.major = 1};

	(void)state;
	version_is_refused(&version, sizeof(version), -ENOTSUP);
}

static void capabilities_must_be_json(void **state)
{
	(void)state;
	version_is_refused("\0\0\0\0{\"capabilities\":", 20, -EINVAL);
}

static void capabilities_must_be_an_object(void **state)
{
	(void)state;
	version_is_refused("\0\0\0\0[1]", 8, -EINVAL);
}

static void capabilities_must_end_with_nul(void **state)
{
	(void)state;
	version_is_refused("\0\0\0\0{}", 6, -EINVAL);
}

static void deeply_nested_capabilities_are_refused(void **state)
{
	char message[8000] = {0};

	(void)state;
	memset(message + 4, '[', sizeof(message) - 5);
	version_is_refused(message, sizeof(message), -EINVAL);
}

static void capabilities_are_optional_and_minor_is_the_smaller(void **state)
{
	struct vfio_user_version version = {.minor = 9};
	struct {
		struct vfio_user_version version;
		char json[200];
	} reply;

	(void)state;
	assert_true(client_request(&client, VFIO_USER_VERSION, &version, sizeof(version), NULL, 0,
				   &reply, sizeof(reply)) > 4);
	assert_int_equal(reply.version.minor, VFIO_USER_MINOR);
	assert_int_equal(client_request(&client, VFIO_USER_VERSION, &version, sizeof(version), NULL,
					0, NULL, 0),
			 -EINVAL);
	assert_true(client.result >= 0);
}

/* ---- messages ---- */

static void a_message_may_come_byte_by_byte(void **state)
{
	struct {
		struct vfio_user_header header;
		struct vfio_user_region_access access;
		uint32_t value;
	} message = {
		.header = {.id = 77, .command = VFIO_USER_REGION_WRITE, .size = 36},
		.access = {.offset = 128, .count = 4},
	};
	struct vfio_user_region_access reply;

	(void)state;
	for (size_t i = 0; i < 36; i++) {
		assert_int_equal(probe.writes, 0);
		client_send_raw(&client, (char *)&message + i, 1, NULL, 0);
		client_serve(&client);
	}
	assert_int_equal(probe.writes, 1);
	assert_int_equal(client_receive(&client, &reply, sizeof(reply)), sizeof(reply));
}

static void many_messages_may_come_at_once(void **state)
{
	struct message {
		struct vfio_user_header header;
		struct vfio_user_region_access access;
		uint32_t value;
	} messages[1000];

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		messages[i] = (struct message){
			.header = {.command = VFIO_USER_REGION_WRITE,
				   .size = 36,
				   .flags = VFIO_USER_NO_REPLY},
			.access = {.offset = 128, .count = 4},
			.value = i,
		};
	/* struct message has tail padding: send them packed. */
	char packed[36 * 1000];
	for (unsigned i = 0; i < 1000; i++)
		memcpy(packed + 36 * i, &messages[i], 36);
	client_send_raw(&client, packed, sizeof(packed), NULL, 0);
	client_serve(&client);
	assert_int_equal(probe.writes, 1000);
	assert_int_equal(*(uint32_t *)(void *)probe.last_data, 999);
	assert_false(client_has_reply(&client));
}

static void one_call_does_a_bounded_amount_of_work(void **state)
{
	struct vfio_user_header reset[200];

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		reset[i] = (struct vfio_user_header){
			.command = VFIO_USER_DEVICE_RESET, .size = 16, .flags = VFIO_USER_NO_REPLY};
	client_send_raw(&client, reset, sizeof(reset), NULL, 0);
	int wanted = vfio_user_server_serve(&client.server, EPOLLIN);
	assert_int_equal(probe.resets, 1);
	assert_int_equal(wanted, EPOLLIN | EPOLLOUT); /* comes back for the rest */
	client_serve(&client);
	while (probe.resets < 200) {
		unsigned before = probe.resets;

		vfio_user_server_serve(&client.server, EPOLLOUT);
		assert_int_equal(probe.resets, before + 1);
	}
}

static void an_impossible_size_ends_the_connection(void **state)
{
	static const uint32_t sizes[] = {0, 15, VFIO_USER_MAX_MESSAGE + 1, UINT32_MAX};

	for (unsigned i = 0; i < 4; i++) {
		struct vfio_user_header header = {.command = VFIO_USER_REGION_READ,
						  .size = sizes[i]};

		client_send_raw(&client, &header, sizeof(header), NULL, 0);
		client_serve(&client);
		assert_int_equal(client.result, -EPROTO);
		assert_int_equal(client_errors(&client, VFIO_USER_ERROR_HEADER), 1);
		teardown(state);
		setup_negotiated(state);
	}
}

static void a_reply_from_the_client_ends_the_connection(void **state)
{
	(void)state;
	client_send(&client, VFIO_USER_DMA_READ, VFIO_USER_TYPE_REPLY, NULL, 0, NULL, 0);
	client_serve(&client);
	assert_int_equal(client.result, -EPROTO);
}

static void leaving_within_a_message_is_noticed(void **state)
{
	(void)state;
	client_send_raw(&client, "abc", 3, NULL, 0);
	client_serve(&client);
	shutdown(client.fd, SHUT_WR);
	client_serve(&client);
	assert_int_equal(client.result, -ECONNRESET);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_TRUNCATED), 1);
}

static void payloads_of_the_wrong_size_are_refused(void **state)
{
	static const struct {
		uint16_t command;
		size_t size;
	} cases[] = {
		{VFIO_USER_VERSION, 0},
		{VFIO_USER_VERSION, 3},
		{VFIO_USER_DMA_MAP, 31},
		{VFIO_USER_DMA_MAP, 33},
		{VFIO_USER_DMA_UNMAP, 23},
		{VFIO_USER_DMA_UNMAP, 25},
		{VFIO_USER_DEVICE_GET_INFO, 15},
		{VFIO_USER_DEVICE_GET_INFO, 17},
		{VFIO_USER_DEVICE_GET_REGION_INFO, 31},
		{VFIO_USER_DEVICE_GET_REGION_INFO, 64},
		{VFIO_USER_DEVICE_GET_IRQ_INFO, 0},
		{VFIO_USER_DEVICE_SET_IRQS, 19},
		{VFIO_USER_REGION_READ, 15},
		{VFIO_USER_REGION_READ, 20},
		{VFIO_USER_REGION_WRITE, 16},
		{VFIO_USER_REGION_WRITE, 16 + 4097},
		{VFIO_USER_DEVICE_RESET, 1},
		{VFIO_USER_REGION_WRITE_MULTI, 7},
	};
	static const uint8_t zeros[VFIO_USER_MAX_MESSAGE];

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(client_request(&client, cases[i].command, zeros, cases[i].size,
						NULL, 0, NULL, 0),
				 -EINVAL);
		assert_int_equal(client_errors(&client, VFIO_USER_ERROR_SIZE), i + 1);
	}
	assert_int_equal(probe.reads + probe.writes + probe.maps + probe.unmaps + probe.resets, 0);
}

static void unknown_and_unserved_commands_are_not_supported(void **state)
{
	(void)state;
	assert_int_equal(client_request(&client, 0, NULL, 0, NULL, 0, NULL, 0), -ENOTSUP);
	assert_int_equal(client_request(&client, 19, NULL, 0, NULL, 0, NULL, 0), -ENOTSUP);
	assert_int_equal(client_request(&client, 65535, NULL, 0, NULL, 0, NULL, 0), -ENOTSUP);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_COMMAND), 3);
	assert_int_equal(
		client_request(&client, VFIO_USER_DEVICE_FEATURE, NULL, 0, NULL, 0, NULL, 0),
		-ENOTSUP);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_COMMAND), 3);
}

static void no_reply_is_honoured_for_errors_too(void **state)
{
	(void)state;
	client_send(&client, 99, VFIO_USER_NO_REPLY, NULL, 0, NULL, 0);
	client_send(&client, VFIO_USER_DEVICE_RESET, VFIO_USER_NO_REPLY, NULL, 0, NULL, 0);
	client_serve(&client);
	assert_int_equal(probe.resets, 1);
	assert_false(client_has_reply(&client));
}

/* ---- regions ---- */

static void accesses_stay_inside_the_region(void **state)
{
	static const struct {
		uint32_t region;
		uint64_t offset;
		uint32_t count;
	} bad[] = {
		{0, REGION_SIZE, 1}, {0, REGION_SIZE - 3, 4},
		{0, UINT64_MAX, 1},  {0, UINT64_MAX - 3, 4},
		{0, 0, 0},	     {1, 0, 1},
		{9, 0, 1},	     {UINT32_MAX, 0, 1},
		{7, 255, 2},	     {7, 256, 1},
		{0, 1, REGION_SIZE},
	};
	uint8_t data[REGION_SIZE] = {0};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
			client_read(&client, bad[i].region, bad[i].offset, bad[i].count, data),
			-EINVAL);
		if (bad[i].count > 0)
			assert_int_equal(client_write(&client, bad[i].region, bad[i].offset,
						      bad[i].count, data),
					 -EINVAL);
	}
	assert_int_equal(probe.reads + probe.writes, 0);
	assert_int_equal(client_read(&client, 0, 0, REGION_SIZE, data), 0);
	assert_int_equal(client_read(&client, 0, REGION_SIZE - 1, 1, data), 0);
	assert_int_equal(data[0], 0xff);
	assert_int_equal(client_write(&client, 0, 0, REGION_SIZE, data), 0);
	assert_int_equal(client_write(&client, 7, 252, 4, data), 0);
}

static void reads_and_writes_beyond_the_transfer_limit_are_refused(void **state)
{
	struct vfio_user_region_access access = {.count = VFIO_USER_MAX_DATA + 1};

	(void)state;
	probe.function.regions[0].size = 1 << 20;
	assert_int_equal(client_request(&client, VFIO_USER_REGION_READ, &access, sizeof(access),
					NULL, 0, NULL, 0),
			 -EINVAL);
	access.count = UINT32_MAX;
	assert_int_equal(client_request(&client, VFIO_USER_REGION_READ, &access, sizeof(access),
					NULL, 0, NULL, 0),
			 -EINVAL);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_ACCESS), 2);
}

static void a_write_must_bring_the_data_it_announces(void **state)
{
	struct {
		struct vfio_user_region_access access;
		uint8_t data[8];
	} message = {.access = {.count = 8}};

	(void)state;
	assert_int_equal(
		client_request(&client, VFIO_USER_REGION_WRITE, &message, 20, NULL, 0, NULL, 0),
		-EINVAL);
	message.access.count = 2;
	assert_int_equal(
		client_request(&client, VFIO_USER_REGION_WRITE, &message, 20, NULL, 0, NULL, 0),
		-EINVAL);
	assert_int_equal(probe.writes, 0);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_SIZE), 2);
}

struct multi {
	uint64_t count;
	struct vfio_user_multi_write writes[VFIO_USER_MAX_MULTI + 1];
};

static int send_multi(struct multi *multi, uint64_t present)
{
	uint64_t done;
	int size = client_request(&client, VFIO_USER_REGION_WRITE_MULTI, multi,
				  8 + present * sizeof(multi->writes[0]), NULL, 0, &done,
				  sizeof(done));

	if (size > 0)
		assert_int_equal(done, multi->count);
	return size;
}

static void coalesced_writes(void **state)
{
	struct multi multi = {.count = 3};

	(void)state;
	for (unsigned i = 0; i < VFIO_USER_MAX_MULTI; i++)
		multi.writes[i] = (struct vfio_user_multi_write){.offset = 4 * i, .count = 4};
	assert_int_equal(send_multi(&multi, 3), 8);
	assert_int_equal(probe.writes, 3);
	assert_int_equal(probe.last_offset, 8);
	/* QEMU leaves unused entries away, but more than announced do no harm. */
	multi.count = VFIO_USER_MAX_MULTI;
	assert_int_equal(send_multi(&multi, VFIO_USER_MAX_MULTI), 8);
	assert_int_equal(probe.writes, 3 + VFIO_USER_MAX_MULTI);

	assert_int_equal(send_multi(&multi, 3), -EINVAL);
	multi.count = UINT64_MAX / 24 + 2; /* times 24 wraps */
	assert_int_equal(send_multi(&multi, 3), -EINVAL);
	multi.count = 1;
	multi.writes[0].count = 9;
	assert_int_equal(send_multi(&multi, 1), -EINVAL);
	multi.writes[0].count = 4;
	multi.writes[0].offset = UINT64_MAX - 1;
	assert_int_equal(send_multi(&multi, 1), -EINVAL);
	assert_int_equal(probe.writes, 3 + VFIO_USER_MAX_MULTI);
	multi.count = 0;
	assert_int_equal(send_multi(&multi, 0), 8);
}

static void a_coalesced_write_cannot_start_and_stop_rings_without_end(void **state)
{
	struct multi multi = {.count = VFIO_USER_MAX_MULTI};

	(void)state;
	for (unsigned i = 0; i < VFIO_USER_MAX_MULTI; i++)
		multi.writes[i] = (struct vfio_user_multi_write){.count = 4};
	probe.write_result = 1;
	assert_int_equal(send_multi(&multi, VFIO_USER_MAX_MULTI), -EINVAL);
	assert_true(probe.writes < 20);
}

static void region_info_tells_how_to_map(void **state)
{
	struct {
		struct vfio_user_region_info info;
		struct vfio_user_sparse_area area;
	} reply = {0};
	struct vfio_user_region_info ask = {.argsz = sizeof(ask), .index = 1};
	int fd = memfd_create("region", MFD_CLOEXEC);

	(void)state;
	probe.function.regions[1] =
		(struct vfio_user_region){.size = 1 << 20, .mmap_size = 12288, .mmap_fd = fd};
	/* QEMU asks with too little room first, and insists on a cap_offset even so. */
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &ask,
					sizeof(ask), NULL, 0, &reply, sizeof(reply)),
			 32);
	assert_int_equal(reply.info.argsz, 64);
	assert_int_equal(reply.info.cap_offset, 32);
	assert_int_equal(reply.info.flags,
			 VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
				 VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS);
	ask.argsz = 64;
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &ask,
					sizeof(ask), NULL, 0, &reply, sizeof(reply)),
			 64);
	assert_int_equal(reply.info.size, 1 << 20);
	assert_int_equal(reply.area.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	assert_int_equal(reply.area.nr_areas, 1);
	assert_int_equal(reply.area.size, 12288);
	assert_true(client.reply_fd >= 0);

	ask.index = 0;
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &ask,
					sizeof(ask), NULL, 0, &reply, sizeof(reply)),
			 32);
	assert_int_equal(reply.info.flags & VFIO_REGION_INFO_FLAG_MMAP, 0);
	assert_int_equal(client.reply_fd, -1);
	ask.index = 8;
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &ask,
					sizeof(ask), NULL, 0, &reply, sizeof(reply)),
			 32);
	assert_int_equal(reply.info.size, 0);
	ask.index = 9;
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &ask,
					sizeof(ask), NULL, 0, &reply, sizeof(reply)),
			 -EINVAL);
	close(fd);
}

/* ---- descriptors and interrupts ---- */

static void make_eventfds(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
}

static void close_all(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

#define TRIGGER_EVENTFD (VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD)
#define TRIGGER_NONE	(VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE)

static void interrupts_take_one_eventfd_each_or_none(void **state)
{
	int fds[8];

	(void)state;
	make_eventfds(fds, 8);
	assert_int_equal(client_set_irqs(&client, 2, TRIGGER_EVENTFD, 0, 8, fds, 8), 0);
	assert_int_equal(probe.last_num_fds, 8);
	assert_int_equal(client_set_irqs(&client, 2, TRIGGER_EVENTFD, 12, 8, fds, 8), 0);
	assert_int_equal(client_set_irqs(&client, 2, TRIGGER_EVENTFD, 0, NUM_VECTORS, NULL, 0), 0);
	assert_int_equal(client_set_irqs(&client, 2, TRIGGER_NONE, 0, 0, NULL, 0), 0);
	assert_int_equal(probe.irqs, 4);
	assert_int_equal(client_set_irqs(&client, 2, TRIGGER_EVENTFD, 0, 8, fds, 7), -EINVAL);
	assert_int_equal(client_set_irqs(&client, 2, TRIGGER_EVENTFD, 0, 7, fds, 8), -EINVAL);
	assert_int_equal(client_set_irqs(&client, 2, TRIGGER_NONE, 0, 1, fds, 1), -EINVAL);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_DESCRIPTORS), 3);
	assert_int_equal(probe.irqs, 4);
	close_all(fds, 8);
}

static void interrupts_out_of_range_are_refused(void **state)
{
	static const struct {
		uint32_t index, flags, start, count;
	} bad[] = {
		{2, TRIGGER_EVENTFD, NUM_VECTORS, 1},
		{2, TRIGGER_EVENTFD, 0, NUM_VECTORS + 1},
		{2, TRIGGER_EVENTFD, UINT32_MAX, 2},
		{2, TRIGGER_EVENTFD, 2, UINT32_MAX},
		{2, TRIGGER_EVENTFD, 0, 0},
		{2, TRIGGER_NONE, 1, 0},
		{0, TRIGGER_EVENTFD, 0, 1}, /* no INTx here */
		{3, TRIGGER_EVENTFD, 0, 1},
		{UINT32_MAX, TRIGGER_NONE, 0, 0},
		{2, 0, 0, 1},
		{2, VFIO_IRQ_SET_DATA_NONE, 0, 1},
		{2, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1},
		{2, TRIGGER_EVENTFD | VFIO_IRQ_SET_DATA_NONE, 0, 1},
		{2, TRIGGER_EVENTFD | VFIO_IRQ_SET_ACTION_MASK, 0, 1},
		{2, TRIGGER_EVENTFD | 1u << 31, 0, 1},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(client_set_irqs(&client, bad[i].index, bad[i].flags, bad[i].start,
						 bad[i].count, NULL, 0),
				 -EINVAL);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_IRQ), sizeof(bad) / sizeof(bad[0]));
	assert_int_equal(probe.irqs, 0);
}

static void booleans_must_all_be_there(void **state)
{
	struct {
		struct vfio_user_irq_set set;
		uint8_t bools[4];
	} message = {.set = {.argsz = 24,
			     .flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_BOOL,
			     .index = 2,
			     .count = 4}};

	(void)state;
	assert_int_equal(
		client_request(&client, VFIO_USER_DEVICE_SET_IRQS, &message, 24, NULL, 0, NULL, 0),
		0);
	assert_int_equal(
		client_request(&client, VFIO_USER_DEVICE_SET_IRQS, &message, 23, NULL, 0, NULL, 0),
		-EINVAL);
	assert_int_equal(probe.irqs, 1);
}

static void what_is_no_eventfd_is_no_interrupt(void **state)
{
	int fds[2];
	int other[] = {memfd_create("no eventfd", MFD_CLOEXEC), epoll_create1(EPOLL_CLOEXEC),
		       open("/dev/null", O_RDWR | O_CLOEXEC), socket(AF_UNIX, SOCK_STREAM, 0)};

	(void)state;
	make_eventfds(fds, 1);
	for (unsigned i = 0; i < 4; i++) {
		fds[1] = other[i];
		assert_int_equal(client_set_irqs(&client, 2, TRIGGER_EVENTFD, 0, 2, fds, 2),
				 -EINVAL);
		close(other[i]);
	}
	assert_int_equal(probe.irqs, 0);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_DESCRIPTORS), 4);
	close(fds[0]);
}

static void surplus_descriptors_are_refused_and_closed(void **state)
{
	struct vfio_user_region_access access = {.count = 4};
	int fds[8];

	(void)state;
	make_eventfds(fds, 8);
	assert_int_equal(client_request(&client, VFIO_USER_REGION_READ, &access, sizeof(access),
					fds, 8, NULL, 0),
			 -EINVAL);
	struct vfio_user_dma_map map = {.argsz = sizeof(map), .flags = 3, .size = 4096};
	assert_int_equal(
		client_request(&client, VFIO_USER_DMA_MAP, &map, sizeof(map), fds, 2, NULL, 0),
		-EINVAL);
	assert_int_equal(probe.maps, 0);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_DESCRIPTORS), 2);
	close_all(fds, 8);
}

static void too_many_descriptors_end_the_connection(void **state)
{
	struct vfio_user_header header = {.command = VFIO_USER_DEVICE_RESET, .size = 16};
	int fds[9];

	(void)state;
	make_eventfds(fds, 9);
	client_send_raw(&client, &header, sizeof(header), fds, 9);
	client_serve(&client);
	assert_int_equal(client.result, -EMFILE);
	close_all(fds, 9);
}

static void too_many_descriptors_in_pieces_end_the_connection(void **state)
{
	struct vfio_user_header header = {.command = VFIO_USER_DEVICE_RESET, .size = 16};
	int fds[5];

	(void)state;
	make_eventfds(fds, 5);
	client_send_raw(&client, &header, 4, fds, 5);
	client_serve(&client);
	assert_true(client.result >= 0);
	client_send_raw(&client, (char *)&header + 4, 4, fds, 5);
	client_serve(&client);
	assert_int_equal(client.result, -EMFILE);
	close_all(fds, 5);
}

/* One DMA_MAP with a descriptor between messages that have none, in any cut. */
static void descriptors_belong_to_the_message_they_came_with(void **state)
{
	struct {
		struct vfio_user_header header;
		struct vfio_user_dma_map map;
	} map = {.header = {.id = 77, .command = VFIO_USER_DMA_MAP, .size = 48},
		 .map = {.argsz = 32, .flags = 3, .size = 4096}};
	struct vfio_user_header reset = {.id = 77, .command = VFIO_USER_DEVICE_RESET, .size = 16};
	int fd;

	(void)state;
	make_eventfds(&fd, 1);
	for (size_t cut = 1; cut <= 48; cut++) {
		client_send_raw(&client, &reset, 16, NULL, 0);
		client_send_raw(&client, &reset, 8, NULL, 0);
		client_send_raw(&client, (char *)&reset + 8, 8, NULL, 0);
		client_send_raw(&client, &map, cut, &fd, 1);
		if (cut < 48)
			client_send_raw(&client, (char *)&map + cut, 48 - cut, NULL, 0);
		client_send_raw(&client, &reset, 16, NULL, 0);
		client_send_raw(&client, &map, 48, &fd, 1);
		client_serve(&client);
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(client_receive(&client, NULL, 0), 0);
		assert_int_equal(probe.maps, 2 * cut);
		assert_int_equal(probe.resets, 3 * cut);
	}
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_DESCRIPTORS), 0);
	close(fd);
}

static void descriptors_of_an_unfinished_message_are_closed(void **state)
{
	int fds[8];

	(void)state;
	make_eventfds(fds, 8);
	client_send_raw(&client, "half a hea", 10, fds, 8);
	client_serve(&client);
	close_all(fds, 8); /* the teardown counts */
}

/* ---- replies ---- */

/* Fills the socket with requests whose replies nobody reads. */
static unsigned send_until_cut_off(struct client *victim, unsigned limit)
{
	struct vfio_user_region_access access = {.count = 256};
	unsigned sent = 0;

	while (victim->result >= 0 && sent < limit) {
		client_send(victim, VFIO_USER_REGION_READ, 0, &access, sizeof(access), NULL, 0);
		client_serve(victim);
		sent++;
	}
	return sent;
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
	(void)state;
	assert_true(send_until_cut_off(&client, 100000) < 100000);
	assert_int_equal(client.result, -ENOBUFS);
	assert_int_equal(client_errors(&client, VFIO_USER_ERROR_STALLED), 1);
}

static void a_slow_client_gets_every_reply_whole_and_in_order(void **state)
{
	unsigned sent = 0, received = 0, queued = 0;
	struct {
		struct vfio_user_region_access access;
		uint8_t data[256];
	} reply;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		/* Until something waits in the queue, then some more. */
		for (unsigned more = 0; more < 100; more += client.server.socket.queue != NULL) {
			struct vfio_user_region_access access = {.offset = sent % 200,
								 .count = 256};

			client_send(&client, VFIO_USER_REGION_READ, 0, &access, sizeof(access),
				    NULL, 0);
			client_serve(&client);
			assert_true(client.result >= 0);
			sent++;
		}
		queued++;
		unsigned stop = round % 2 ? sent : received + (sent - received) / 2;
		while (received < stop) {
			int size = client_receive(&client, &reply, sizeof(reply));

			assert_int_equal(size, sizeof(reply));
			assert_int_equal(reply.access.offset, received % 200);
			assert_int_equal(reply.data[255], received % 200);
			received++;
			client_serve(&client);
		}
	}
	assert_int_equal(queued, 20);
	assert_null(client.server.socket.queue);
}

static void a_queued_reply_keeps_its_descriptor(void **state)
{
	struct vfio_user_region_info ask = {.argsz = 64, .index = 1};
	struct {
		struct vfio_user_region_info info;
		struct vfio_user_sparse_area area;
		uint8_t more[256];
	} reply;
	int fd = memfd_create("region", MFD_CLOEXEC);
	unsigned with_fd = 0;

	(void)state;
	probe.function.regions[1] =
		(struct vfio_user_region){.size = 8192, .mmap_size = 8192, .mmap_fd = fd};
	struct vfio_user_region_access access = {.count = 256};
	while (client.server.socket.queue == NULL) {
		client_send(&client, VFIO_USER_REGION_READ, 0, &access, sizeof(access), NULL, 0);
		client_serve(&client);
	}
	for (unsigned i = 0; i < VFIO_USER_QUEUED_FDS; i++) {
		client_send(&client, VFIO_USER_DEVICE_GET_REGION_INFO, 0, &ask, sizeof(ask), NULL,
			    0);
		client_serve(&client);
	}
	assert_true(client.result >= 0);
	while (client_has_reply(&client)) {
		int size = client_receive(&client, &reply, sizeof(reply));

		assert_int_equal(client.reply_fd >= 0, size == 64);
		with_fd += size == 64;
		client_serve(&client);
	}
	assert_int_equal(with_fd, VFIO_USER_QUEUED_FDS);
	close(fd);
}

int main(void)
{
#define connected(test)	 cmocka_unit_test_setup_teardown(test, setup_connected, teardown)
#define negotiated(test) cmocka_unit_test_setup_teardown(test, setup_negotiated, teardown)
	const struct CMUnitTest tests[] = {
		connected(a_command_before_version_ends_the_connection),
		connected(another_major_version_is_refused),
		connected(capabilities_must_be_json),
		connected(capabilities_must_be_an_object),
		connected(capabilities_must_end_with_nul),
		connected(deeply_nested_capabilities_are_refused),
		connected(capabilities_are_optional_and_minor_is_the_smaller),
		negotiated(a_message_may_come_byte_by_byte),
		negotiated(many_messages_may_come_at_once),
		negotiated(one_call_does_a_bounded_amount_of_work),
		negotiated(an_impossible_size_ends_the_connection),
		negotiated(a_reply_from_the_client_ends_the_connection),
		negotiated(leaving_within_a_message_is_noticed),
		negotiated(payloads_of_the_wrong_size_are_refused),
		negotiated(unknown_and_unserved_commands_are_not_supported),
		negotiated(no_reply_is_honoured_for_errors_too),
		negotiated(accesses_stay_inside_the_region),
		negotiated(reads_and_writes_beyond_the_transfer_limit_are_refused),
		negotiated(a_write_must_bring_the_data_it_announces),
		negotiated(coalesced_writes),
		negotiated(a_coalesced_write_cannot_start_and_stop_rings_without_end),
		negotiated(region_info_tells_how_to_map),
		negotiated(interrupts_take_one_eventfd_each_or_none),
		negotiated(interrupts_out_of_range_are_refused),
		negotiated(booleans_must_all_be_there),
		negotiated(what_is_no_eventfd_is_no_interrupt),
		negotiated(surplus_descriptors_are_refused_and_closed),
		negotiated(too_many_descriptors_end_the_connection),
		negotiated(too_many_descriptors_in_pieces_end_the_connection),
		negotiated(descriptors_belong_to_the_message_they_came_with),
		negotiated(descriptors_of_an_unfinished_message_are_closed),
		negotiated(a_client_that_does_not_read_is_cut_off),
		negotiated(a_slow_client_gets_every_reply_whole_and_in_order),
		negotiated(a_queued_reply_keeps_its_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
