/* SPDX-License-Identifier: BSD-2-Clause */
/* vfio-user messages that no QEMU would send. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct vu_connection raw;

static void connect_raw(void)
{
	assert_int_equal(vu_connect(&raw, evil_paths.netif), 0);
}

static void negotiate_raw(void)
{
	connect_raw();
	assert_int_equal(vu_negotiate(&raw), 0);
}

/* The connection is still of use. */
static void assert_served(void)
{
	struct vu_device_info info;

	assert_int_equal(vu_get_info(&raw, &info), 0);
}

static void assert_cut_off(void)
{
	assert_true(vu_wait_closed(&raw));
	vu_disconnect(&raw);
}

static int64_t counted(const char *name)
{
	return daemon_attachment_counter(&ptnetd, EVIL_PORT, name);
}

/* Sends a request with descriptors; the server must refuse it with an error and go on. */
static void refuse_with_fds(uint16_t command, const void *payload, size_t size, const int *fds,
			    unsigned num_fds, const char *counter)
{
	int64_t before = counted(counter);
	int result = vu_request(&raw, command, payload, size, fds, num_fds, NULL, 0, NULL);

	if (result >= 0 || result == -EPIPE || result == -ETIMEDOUT || result == -EPROTO)
		fail_msg("command %u with %zu bytes and %u descriptors: result %d", command, size,
			 num_fds, result);
	if (counted(counter) != before + 1)
		fail_msg("command %u with %zu bytes and %u descriptors: %s counted %lld times",
			 command, size, num_fds, counter, (long long)(counted(counter) - before));
	assert_served();
}

static void refuse(uint16_t command, const void *payload, size_t size, const char *counter)
{
	refuse_with_fds(command, payload, size, NULL, 0, counter);
}

/* ---- framing ---- */

static void truncated(void)
{
	static const uint8_t zeros[4096];
	struct vu_header header = {.command = VU_REGION_WRITE, .size = 4096};

	for (size_t size = 1; size < 4096; size = size * 3 + 1) {
		int64_t before = counted("truncated_message");

		negotiate_raw();
		vu_send_raw(&raw, &header, size < sizeof(header) ? size : sizeof(header), NULL, 0);
		if (size > sizeof(header))
			vu_send_raw(&raw, zeros, size - sizeof(header), NULL, 0);
		vu_disconnect(&raw);
		assert_eventually(counted("truncated_message") == before + 1);
	}
}

static void truncated_with_fds(void)
{
	struct vu_header header = {.command = VU_DMA_MAP, .size = 48};
	int fds[8];

	for (unsigned i = 0; i < 8; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	for (unsigned count = 1; count <= 8; count++) {
		int64_t before = counted("truncated_message");

		negotiate_raw();
		vu_send_raw(&raw, &header, sizeof(header), fds, count);
		vu_disconnect(&raw);
		assert_eventually(counted("truncated_message") == before + 1);
	}
	for (unsigned i = 0; i < 8; i++)
		close(fds[i]);
}

static void sizes_no_message_has(void)
{
	static const uint32_t sizes[] = {0, 1, 15, 0x80000000, 0x7fffffff, UINT32_MAX, 1 << 24};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct vu_header header = {.command = VU_GET_INFO, .size = sizes[i]};
		int64_t before = counted("bad_header");

		negotiate_raw();
		vu_send_raw(&raw, &header, sizeof(header), NULL, 0);
		assert_cut_off();
		assert_int_equal(counted("bad_header"), before + 1);
	}
}

static void types_no_request_has(void)
{
	for (uint32_t type = 1; type < 16; type++) {
		struct vu_header header = {
			.command = VU_RESET, .size = sizeof(header), .flags = type};
		int64_t before = counted("bad_header");

		negotiate_raw();
		vu_send_raw(&raw, &header, sizeof(header), NULL, 0);
		assert_cut_off();
		assert_int_equal(counted("bad_header"), before + 1);
	}
}

static void byte_by_byte(void)
{
	struct {
		struct vu_header header;
		struct vu_device_info info;
	} message = {.header = {.id = 7, .command = VU_GET_INFO, .size = sizeof(message)},
		     .info = {.argsz = sizeof(message.info)}};
	static struct vu_message reply;

	negotiate_raw();
	for (size_t i = 0; i < sizeof(message); i++)
		assert_int_equal(vu_send_raw(&raw, (const char *)&message + i, 1, NULL, 0), 0);
	assert_int_equal(vu_receive(&raw, &reply), 0);
	assert_int_equal(reply.header.id, 7);
	assert_int_equal(reply.header.flags, VU_REPLY);
	vu_disconnect(&raw);
}

static void random_bytes(void)
{
	static uint8_t bytes[65536];

	for (unsigned stream = 0; stream < 200; stream++) {
		size_t size = 1 + dice(stream % 2 ? 200 : sizeof(bytes) - 1);

		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)dice(256);
		if (stream % 3 == 0)
			connect_raw();
		else
			negotiate_raw();
		vu_send_raw(&raw, bytes, size, NULL, 0);
		vu_disconnect(&raw);
	}
}

/* Headers in order, the rest at random: gets further than random bytes. */
static void random_payloads(void)
{
	static uint8_t payload[512];

	negotiate_raw();
	for (unsigned i = 0; i < 5000; i++) {
		/* VERSION a second time, replies' types and NO_REPLY are other attacks'. */
		uint16_t command = (uint16_t)(2 + dice(20));
		size_t size = dice(4) * 8 + dice(64);
		int fds[3] = {1, 1, 1};
		int result;

		for (size_t j = 0; j < size; j++)
			payload[j] = (uint8_t)(dice(3) ? dice(5) : dice(256));
		result = vu_request(&raw, command, payload, size, fds, dice(8) ? 0 : dice(4), NULL,
				    0, &(int){-1});
		if (result == -EPIPE || result == -ETIMEDOUT)
			fail_msg("message %u, command %u of %zu bytes: %s", i, command, size,
				 strerror(-result));
	}
	vu_disconnect(&raw);
}

/* ---- commands ---- */

static void unknown_commands(void)
{
	static const uint16_t commands[] = {0, 100, 0x7fff, 0x8001, UINT16_MAX};
	uint8_t payload[64] = {0};

	negotiate_raw();
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		refuse(commands[i], NULL, 0, "unknown_command");
		refuse(commands[i], payload, sizeof(payload), "unknown_command");
	}
	vu_disconnect(&raw);
}

static void wrong_sizes(void)
{
	static const struct {
		uint16_t command;
		size_t size;
	} exact[] = {
		{VU_DMA_MAP, 32},	  {VU_DMA_UNMAP, 24},	 {VU_GET_INFO, 16},
		{VU_GET_REGION_INFO, 32}, {VU_GET_IRQ_INFO, 16}, {VU_SET_IRQS, 20},
		{VU_REGION_READ, 16},	  {VU_REGION_WRITE, 17}, {VU_REGION_WRITE_MULTI, 8},
	};
	static const uint8_t zeros[64];

	negotiate_raw();
	for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
		refuse(exact[i].command, zeros, 0, "bad_payload_size");
		refuse(exact[i].command, zeros, 1, "bad_payload_size");
		refuse(exact[i].command, zeros, exact[i].size - 1, "bad_payload_size");
	}
	refuse(VU_RESET, zeros, 1, "bad_payload_size");
	refuse(VU_REGION_READ, zeros, 17, "bad_payload_size");
	refuse(VU_DMA_MAP, zeros, 33, "bad_payload_size");
	vu_disconnect(&raw);
}

static void writes_of_wrong_length(void)
{
	struct {
		struct vu_region_access access;
		uint8_t data[16];
	} write = {.access = {.region = VU_REGION_CONFIG, .count = 8}};
	struct {
		uint64_t count;
		struct vu_write_one one[2];
	} multi = {.count = 3};

	negotiate_raw();
	refuse(VU_REGION_WRITE, &write, sizeof(write.access) + 7, "bad_payload_size");
	refuse(VU_REGION_WRITE, &write, sizeof(write.access) + 9, "bad_payload_size");
	refuse(VU_REGION_WRITE_MULTI, &multi, sizeof(multi), "bad_payload_size");
	multi.count = UINT64_MAX;
	refuse(VU_REGION_WRITE_MULTI, &multi, sizeof(multi), "bad_payload_size");
	multi.count = (1ull << 60) + 2; /* times 24 wraps to 48 */
	refuse(VU_REGION_WRITE_MULTI, &multi, sizeof(multi), "bad_payload_size");
	multi.count = 2;
	for (unsigned i = 0; i < 2; i++)
		multi.one[i] = (struct vu_write_one){.region = VU_REGION_BAR0, .count = 9};
	refuse(VU_REGION_WRITE_MULTI, &multi, sizeof(multi), "bad_payload_size");
	vu_disconnect(&raw);
}

static void version(const void *payload, size_t size, const char *counter)
{
	int64_t before = counted(counter);

	connect_raw();
	assert_true(vu_request(&raw, VU_VERSION, payload, size, NULL, 0, NULL, 0, NULL) < 0);
	assert_cut_off();
	assert_int_equal(counted(counter), before + 1);
}

static void bad_versions(void)
{
	struct {
		struct vu_version version;
		char json[200];
	} ask = {.version = {.major = 1}};
	static const char *const junk[] = {"{",
					   "[]",
					   "\"text\"",
					   "{\"capabilities\": []}",
					   "{\"capabilities\": 3}",
					   "{\"capabilities\": {}} x",
					   "\xff\xfe"};

	version(&ask.version, sizeof(ask.version), "bad_version");
	ask.version.major = UINT16_MAX;
	version(&ask.version, sizeof(ask.version), "bad_version");
	ask.version.major = 0;
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		strcpy(ask.json, junk[i]);
		version(&ask, sizeof(ask.version) + strlen(junk[i]) + 1, "bad_version");
	}
	/* Without its NUL; nested deeper than anybody needs. */
	strcpy(ask.json, "{}");
	version(&ask, sizeof(ask.version) + 2, "bad_version");
	memset(ask.json, '[', sizeof(ask.json));
	ask.json[sizeof(ask.json) - 1] = '\0';
	version(&ask, sizeof(ask), "bad_version");
	version(&ask, 3, "bad_payload_size");
}

static void version_comes_first(void)
{
	int64_t before = counted("bad_version");

	connect_raw();
	vu_send(&raw, VU_RESET, 0, NULL, 0, NULL, 0);
	assert_cut_off();
	assert_int_equal(counted("bad_version"), before + 1);
}

static void version_twice(void)
{
	struct vu_version ask = {.major = 0};

	negotiate_raw();
	refuse(VU_VERSION, &ask, sizeof(ask), "bad_version");
	vu_disconnect(&raw);
}

/* ---- regions, interrupts, DMA ---- */

static void accesses_outside_regions(void)
{
	static const struct vu_region_access bad[] = {
		{0, 9, 4},
		{0, UINT32_MAX, 4},
		{0, VU_REGION_BAR1, 4},
		{0, VU_REGION_ROM, 4},
		{256, VU_REGION_BAR0, 4},
		{254, VU_REGION_BAR0, 4},
		{UINT64_MAX, VU_REGION_BAR0, 4},
		{UINT64_MAX - 3, VU_REGION_BAR0, 4},
		{0, VU_REGION_BAR0, 0},
		{0, VU_REGION_BAR0, 257},
		{4096, VU_REGION_BAR2, 1},
		{0, VU_REGION_CONFIG, UINT32_MAX},
		{0, VU_REGION_CONFIG, 0x80000000},
	};

	negotiate_raw();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct {
			struct vu_region_access access;
			uint8_t data[4];
		} write = {.access = bad[i]};

		refuse(VU_REGION_READ, &bad[i], sizeof(bad[i]), "bad_region_access");
		refuse(VU_REGION_WRITE, &write, sizeof(write), "bad_region_access");
	}
	vu_disconnect(&raw);
}

static void questions_about_nothing(void)
{
	struct vu_region_info region = {.argsz = sizeof(region), .index = 9};
	struct vu_device_info device = {.argsz = 3};
	struct vu_irq_info irq = {.argsz = 3};

	negotiate_raw();
	refuse(VU_GET_REGION_INFO, &region, sizeof(region), "bad_argument");
	region.index = UINT32_MAX;
	refuse(VU_GET_REGION_INFO, &region, sizeof(region), "bad_argument");
	region = (struct vu_region_info){.argsz = 31};
	refuse(VU_GET_REGION_INFO, &region, sizeof(region), "bad_argument");
	refuse(VU_GET_INFO, &device, sizeof(device), "bad_argument");
	refuse(VU_GET_IRQ_INFO, &irq, sizeof(irq), "bad_argument");
	vu_disconnect(&raw);
}

static void interrupts_that_do_not_exist(void)
{
	enum { SET = VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_TRIGGER };
	static const struct vu_irq_set bad[] = {
		{20, SET, VU_IRQ_MSIX, 2 * EVIL_RINGS, 1},
		{20, SET, VU_IRQ_MSIX, 0, 2 * EVIL_RINGS + 1},
		{20, SET, VU_IRQ_MSIX, 1, UINT32_MAX},
		{20, SET, VU_IRQ_MSIX, UINT32_MAX, 1},
		{20, SET, VU_IRQ_MSIX, UINT32_MAX, UINT32_MAX},
		{20, SET, VU_IRQ_MSI, 0, 1},
		{20, SET, VU_NUM_IRQS, 0, 1},
		{20, SET, UINT32_MAX, 0, 1},
		{20, 0, VU_IRQ_MSIX, 0, 1},
		{20, VU_IRQ_DATA_NONE, VU_IRQ_MSIX, 0, 1},
		{20, VU_IRQ_ACTION_TRIGGER, VU_IRQ_MSIX, 0, 1},
		{20, SET | VU_IRQ_DATA_BOOL, VU_IRQ_MSIX, 0, 1},
		{20, SET | VU_IRQ_ACTION_MASK, VU_IRQ_MSIX, 0, 1},
		{20, UINT32_MAX, VU_IRQ_MSIX, 0, 1},
	};

	negotiate_raw();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(VU_SET_IRQS, &bad[i], sizeof(bad[i]), "bad_interrupt_range");
	vu_disconnect(&raw);
}

static void dma_ranges_of_nonsense(void)
{
	static const struct vu_dma_map bad[] = {
		{32, 3, 0, 0, 0},
		{32, 3, 0, UINT64_MAX - 4095, 8192},
		{32, 3, 0, UINT64_MAX, 2},
		{32, 3, UINT64_MAX - 4095, 0x10000, 0x10000},
		{32, 0xfffffff0, 0, 0x10000, 0x10000},
		{31, 3, 0, 0x10000, 0x10000},
		{0, 3, 0, 0x10000, 0x10000},
	};
	static const struct vu_dma_unmap never[] = {
		{24, 0, 0x5000, 4096},		 {24, 0, 0, 0},
		{24, 0, UINT64_MAX, UINT64_MAX}, {23, 0, 0x100000, 0x1000},
		{24, 0xff0, 0x100000, 0x1000},
	};
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct vu_dma_map twice = {32, 3, 0, 0x100000, 0x100000};

	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	negotiate_raw();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refuse_with_fds(VU_DMA_MAP, &bad[i], sizeof(bad[i]), &fd, 1, "bad_dma_range");
	}
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		refuse(VU_DMA_UNMAP, &never[i], sizeof(never[i]), "bad_dma_range");
	assert_int_equal(vu_dma_map(&raw, 3, 0x100000, 0x100000, fd, 0), 0);
	refuse_with_fds(VU_DMA_MAP, &twice, sizeof(twice), &fd, 1, "bad_dma_range");
	twice.address = 0x1ff000;
	refuse_with_fds(VU_DMA_MAP, &twice, sizeof(twice), &fd, 1, "bad_dma_range");
	twice.address = 0x1000;
	refuse_with_fds(VU_DMA_MAP, &twice, sizeof(twice), &fd, 1, "bad_dma_range");
	/* Part of a range, or more than it. */
	refuse(VU_DMA_UNMAP, &(struct vu_dma_unmap){24, 0, 0x100000, 0x1000}, 24, "bad_dma_range");
	refuse(VU_DMA_UNMAP, &(struct vu_dma_unmap){24, 0, 0x100000, 0x200000}, 24,
	       "bad_dma_range");
	close(fd);
	vu_disconnect(&raw);
}

static void too_many_dma_ranges(void)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	int64_t before = counted("bad_dma_range");
	unsigned taken = 0;
	int error;

	assert_int_equal(ftruncate(fd, 4096), 0);
	negotiate_raw();
	while ((error = vu_dma_map(&raw, 3, (uint64_t)taken * 8192, 4096, fd, 0)) == 0)
		assert_true(++taken < 100000);
	assert_int_not_equal(error, -EPIPE);
	assert_int_equal(counted("bad_dma_range"), before + 1);
	assert_served();
	vu_disconnect(&raw);
	/* A file of its own for each. */
	negotiate_raw();
	for (unsigned i = 0; i < 2000 && error != -EPIPE; i++) {
		int own = memfd_create("ram", MFD_CLOEXEC);

		error = vu_dma_map(&raw, 3, (uint64_t)i * 8192, 4096, own, 0);
		close(own);
	}
	assert_served();
	close(fd);
	vu_disconnect(&raw);
}

/* ---- descriptors ---- */

static void surplus_descriptors(void)
{
	const struct vu_dma_map map = {32, 3, 0, 0x100000, 4096};
	const struct vu_irq_set none = {20, VU_IRQ_DATA_NONE | VU_IRQ_ACTION_TRIGGER, VU_IRQ_MSIX,
					0, 1};
	const struct vu_irq_set one = {20, VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_TRIGGER, VU_IRQ_MSIX,
				       0, 1};
	static const uint8_t zeros[32];
	int fds[8];

	for (unsigned i = 0; i < 8; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	negotiate_raw();
	refuse_with_fds(VU_GET_INFO, zeros, 16, fds, 1, "bad_descriptors");
	refuse_with_fds(VU_GET_REGION_INFO, zeros, 32, fds, 8, "bad_descriptors");
	refuse_with_fds(VU_REGION_READ, zeros, 16, fds, 1, "bad_descriptors");
	refuse_with_fds(VU_REGION_WRITE, zeros, 20, fds, 2, "bad_descriptors");
	refuse_with_fds(VU_RESET, zeros, 0, fds, 1, "bad_descriptors");
	refuse_with_fds(VU_DMA_UNMAP, zeros, 24, fds, 1, "bad_descriptors");
	refuse_with_fds(VU_DMA_MAP, &map, sizeof(map), fds, 2, "bad_descriptors");
	refuse_with_fds(VU_SET_IRQS, &none, sizeof(none), fds, 1, "bad_descriptors");
	refuse_with_fds(VU_SET_IRQS, &one, sizeof(one), fds, 2, "bad_descriptors");
	for (unsigned i = 0; i < 8; i++)
		close(fds[i]);
	vu_disconnect(&raw);
}

static void missing_descriptors(void)
{
	const struct vu_irq_set set = {20, VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_TRIGGER, VU_IRQ_MSIX,
				       0, 4};
	int fds[3];

	for (unsigned i = 0; i < 3; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	negotiate_raw();
	for (unsigned count = 1; count <= 3; count++)
		refuse_with_fds(VU_SET_IRQS, &set, sizeof(set), fds, count, "bad_descriptors");
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	vu_disconnect(&raw);
}

static void far_too_many_descriptors(void)
{
	static const unsigned counts[] = {9, 16, 64, 253};
	int fds[253];
	struct vu_header header = {.command = VU_GET_INFO, .size = 32};

	fds[0] = eventfd(0, EFD_CLOEXEC);
	for (unsigned i = 1; i < 253; i++)
		fds[i] = fds[0];
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		int64_t before = counted("bad_descriptors");

		negotiate_raw();
		vu_send_raw(&raw, &header, sizeof(header), fds, counts[i]);
		assert_cut_off();
		assert_int_equal(counted("bad_descriptors"), before + 1);
	}
	close(fds[0]);
}

static void interrupts_of_the_wrong_kind(void)
{
	const struct vu_irq_set set = {20, VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_TRIGGER, VU_IRQ_MSIX,
				       0, 1};
	int pipe_fds[2], sockets[2], fds[8];

	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	fds[0] = memfd_create("no-eventfd", MFD_CLOEXEC);
	fds[1] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	fds[2] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[3] = open("/", O_PATH | O_CLOEXEC);
	fds[4] = epoll_create1(EPOLL_CLOEXEC);
	fds[5] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[6] = pipe_fds[1];
	fds[7] = sockets[0];
	negotiate_raw();
	for (unsigned i = 0; i < 8; i++) {
		assert_true(fds[i] >= 0);
		refuse_with_fds(VU_SET_IRQS, &set, sizeof(set), &fds[i], 1, "bad_descriptors");
		close(fds[i]);
	}
	close(pipe_fds[0]);
	close(sockets[1]);
	vu_disconnect(&raw);
}

static void send_and_be_sent_to(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		struct ring *ring = driver_tx(&evil.driver, i % EVIL_RINGS);

		fill_slot(ring, ring_slot(ring, 0), 60);
		ring_publish(ring, 1);
		sink_sends(evil.driver.mac);
	}
}

static void ask_for_interrupts(void)
{
	for (unsigned i = 0; i < 2 * EVIL_RINGS; i++)
		PTNET_STORE_RELAXED(&evil.driver.rings[i].atok->appl_need_kick, 1);
}

/*
 * An eventfd whose counter is full and that blocks: whoever writes to it would hang. The daemon
 * has the kernel signal it, which neither waits nor fails.
 */
static void interrupts_that_block(void)
{
	int64_t sent = daemon_port_counter(&ptnetd, EVIL_PORT, "interrupts_sent");
	int64_t failed = daemon_port_counter(&ptnetd, EVIL_PORT, "interrupts_failed");
	const uint64_t full = UINT64_MAX - 1;

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	for (unsigned i = 0; i < 2 * EVIL_RINGS; i++) {
		int fd = eventfd(0, EFD_CLOEXEC);

		assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
		assert_int_equal(vu_set_irqs(&evil.guest.netif,
					     VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_TRIGGER,
					     VU_IRQ_MSIX, i, 1, &fd),
				 0);
		/* Blocking again, whatever the server made of it. */
		assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
		close(fd);
	}
	ask_for_interrupts();
	send_and_be_sent_to(100);
	assert_eventually(daemon_port_counter(&ptnetd, EVIL_PORT, "interrupts_sent") >= sent + 100);
	assert_int_equal(daemon_port_counter(&ptnetd, EVIL_PORT, "interrupts_failed"), failed);
	guest_read(&evil.guest, PTNET_IO_PTFEAT);
	assert_guest(&evil.guest);
	endpoint_kill(&evil);
}

/* Wants to be interrupted, but has taken its vectors away. */
static void interrupts_without_vectors(void)
{
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	guest_msix_disable(&evil.guest);
	ask_for_interrupts();
	send_and_be_sent_to(100);
	guest_read(&evil.guest, PTNET_IO_PTFEAT);
	assert_guest(&evil.guest);
	endpoint_kill(&evil);
}

/* ---- a client that does not listen ---- */

/* Asks and asks and never reads an answer, until it is cut off. */
static void ask_until_cut_off(const char *path, uint16_t command, const void *payload, size_t size)
{
	int result = 0;

	assert_int_equal(vu_connect(&raw, path), 0);
	assert_int_equal(vu_negotiate(&raw), 0);
	for (unsigned i = 0; i < 1000000 && result >= 0; i++)
		result = vu_send(&raw, command, 0, payload, size, NULL, 0);
	assert_int_equal(result, -EPIPE);
	vu_disconnect(&raw);
}

static void stops_reading(void)
{
	const struct vu_region_access read = {.region = VU_REGION_CONFIG, .count = 256};
	const struct vu_device_info info = {.argsz = sizeof(info)};

	ask_until_cut_off(evil_paths.netif, VU_REGION_READ, &read, sizeof(read));
	ask_until_cut_off(evil_paths.netif, VU_GET_INFO, &info, sizeof(info));
}

/* The same where each answer carries a descriptor. */
static void stops_reading_descriptors(void)
{
	const struct vu_region_info info = {.argsz = 256, .index = VU_REGION_BAR1};

	ask_until_cut_off(evil_paths.memdev, VU_GET_REGION_INFO, &info, sizeof(info));
}

/* Stops in the middle of asking and just sits there, with rings running. */
static void sits_there(void)
{
	struct vu_header half = {.command = VU_REGION_WRITE, .size = 4000};

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	vu_send_raw(&evil.guest.netif, &half, sizeof(half), NULL, 0);
	for (unsigned i = 0; i < 200; i++)
		sink_sends(evil.driver.mac);
	endpoint_kill(&evil);
}

static void floods_with_kicks(void)
{
	const uint32_t zero = 0;

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	for (unsigned i = 0; i < 300000; i++)
		assert_int_equal(vu_region_write_posted(&evil.guest.netif, PTNET_BAR_DOORBELL,
							4 * (i % (2 * EVIL_RINGS)), &zero, 4),
				 0);
	guest_read(&evil.guest, PTNET_IO_PTFEAT);
	assert_guest(&evil.guest);
	assert_int_equal(endpoint_detach(&evil), 0);
}

const struct attack message_attacks[] = {
	{"messages truncated", truncated, "truncated_message", NULL},
	{"messages truncated that came with descriptors", truncated_with_fds, "truncated_message",
	 NULL},
	{"messages of sizes that none has", sizes_no_message_has, "bad_header", NULL},
	{"messages of types that no request has", types_no_request_has, "bad_header", NULL},
	{"a message byte by byte", byte_by_byte, NO_FAULT, NULL},
	{"random bytes", random_bytes, "protocol_errors", NULL},
	{"random payloads", random_payloads, "protocol_errors", NULL},
	{"unknown commands", unknown_commands, "unknown_command", NULL},
	{"payloads too short and too long", wrong_sizes, "bad_payload_size", NULL},
	{"writes longer and shorter than they say", writes_of_wrong_length, "bad_payload_size",
	 NULL},
	{"bad versions", bad_versions, "bad_version", NULL},
	{"no version at first", version_comes_first, "bad_version", NULL},
	{"version twice", version_twice, "bad_version", NULL},
	{"accesses outside regions", accesses_outside_regions, "bad_region_access", NULL},
	{"questions about nothing", questions_about_nothing, "bad_argument", NULL},
	{"interrupts that do not exist", interrupts_that_do_not_exist, "bad_interrupt_range", NULL},
	{"DMA ranges of nonsense", dma_ranges_of_nonsense, "bad_dma_range", NULL},
	{"too many DMA ranges", too_many_dma_ranges, "bad_dma_range", NULL},
	{"surplus descriptors", surplus_descriptors, "bad_descriptors", NULL},
	{"missing descriptors", missing_descriptors, "bad_descriptors", NULL},
	{"far too many descriptors", far_too_many_descriptors, "bad_descriptors", NULL},
	{"interrupts of the wrong kind", interrupts_of_the_wrong_kind, "bad_descriptors", NULL},
	{"interrupts that block", interrupts_that_block, NO_FAULT, NULL},
	{"interrupts without vectors", interrupts_without_vectors, "interrupts_failed", NULL},
	{"a client that stops reading", stops_reading, "replies_not_read", NULL},
	{"a client that stops reading descriptors", stops_reading_descriptors, "replies_not_read",
	 EVIL_MEMORY},
	{"a client that just sits there", sits_there, "truncated_message", NULL},
	{"a flood of kicks", floods_with_kicks, NO_FAULT, NULL},
};
const size_t num_message_attacks = sizeof(message_attacks) / sizeof(message_attacks[0]);
