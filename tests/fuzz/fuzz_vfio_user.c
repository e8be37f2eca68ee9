/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile vfio-user client on a real port: any bytes with any descriptors, and,
 * because few of those get past the first check, messages that are well formed
 * with values near the edges. Guest RAM is cut short while rings run.
 *
 * What must hold: nothing is touched outside its bounds (ASan, UBSan); rings run
 * on guest RAM only while the client lets us have that RAM; and when the client
 * is gone, so is every descriptor.
 */
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach/memdev.h"
#include "attach/netif_device.h"
#include "engine/closer.h"
#include "engine/endpoint.h"
#include "input.h"
#include "log/log.h"
#include "port/vale.h"

#define SLOTS	 64
#define RINGS	 2 /* pairs */
#define RAM_SIZE 0x10000
#define PAGE	 0x1000

static struct region *region;
static struct port *port, *other;
static struct nm_csb_atok other_atok[2 * RINGS] __attribute__((aligned(64)));
static struct nm_csb_ktoa other_ktoa[2 * RINGS] __attribute__((aligned(64)));
static int ram_fd, event_fd, null_fd;

static struct netif_device device;
static struct memdev memdev;
static struct closer *closer;
static struct vfio_user_server server;
static struct vfio_user_counters counters;
static struct log_limit log_limit;
static int client_fd;
static int wanted;
static bool on_memdev;

static struct region *small_region(void)
{
	struct region_config config = {
		.ring_num = 8, .buf_num = 4 * RINGS * SLOTS, .buf_size = 256, .csb_num = 1};
	struct region *made;

	region_config_for_port(&config, RINGS, RINGS, SLOTS, SLOTS, 0, 0);
	require(region_create(&made, &config, NULL) == 0);
	return made;
}

static void make_ports(void)
{
	struct vale_config vale_config = {.name = "vale0"};
	struct port_config config = {.name = "vale0:vm",
				     .tx_rings = RINGS,
				     .rx_rings = RINGS,
				     .tx_slots = SLOTS,
				     .rx_slots = SLOTS};
	struct endpoint_csb csb = {.atok = other_atok, .ktoa = other_ktoa, .extension = true};
	struct region *other_region = small_region();
	struct vale *vale;

	log_set_level(LOG_LEVEL_ERROR);
	region = small_region();
	require(vale_create(&vale, &vale_config, NULL) == 0);
	require(vale_port_create(&port, vale, &config, region, NULL) == 0);
	strcpy(config.name, "vale0:other");
	require(vale_port_create(&other, vale, &config, other_region, NULL) == 0);
	region_put(other_region);
	endpoint_start(other, &csb);
	require(closer_create(&closer, NULL) == 0);
	ram_fd = memfd_create("guest RAM", MFD_CLOEXEC);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	null_fd = memfd_create("no eventfd", MFD_CLOEXEC);
	require(ram_fd >= 0 && event_fd >= 0 && null_fd >= 0);
}

/* ---- the client ---- */

static int some_fd(struct input *input)
{
	switch (take(input, 1) % 3) {
	case 0:
		return ram_fd;
	case 1:
		return event_fd;
	default:
		return null_fd;
	}
}

/* What does not fit into the socket is lost: then the stream is garbage, which is fine. */
static void send_bytes(const void *bytes, size_t size, const int *fds, unsigned num_fds)
{
	char control[CMSG_SPACE(16 * sizeof(int))] __attribute__((aligned(8))) = {0};
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
	if (size > 0 && sendmsg(client_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

static void send_message(uint16_t command, uint32_t flags, const void *payload, size_t size,
			 const int *fds, unsigned num_fds)
{
	uint8_t message[VFIO_USER_MAX_MESSAGE];
	struct vfio_user_header header = {
		.command = command, .size = (uint32_t)(sizeof(header) + size), .flags = flags};

	memcpy(message, &header, sizeof(header));
	if (size > 0)
		memcpy(message + sizeof(header), payload, size);
	send_bytes(message, header.size, fds, num_fds);
}

static void send_write(uint32_t where, uint64_t offset, uint32_t count, uint64_t value)
{
	struct {
		struct vfio_user_region_access access;
		uint64_t value;
	} message = {.access = {.offset = offset, .region = where, .count = count}, .value = value};

	send_message(VFIO_USER_REGION_WRITE, VFIO_USER_NO_REPLY, &message,
		     sizeof(message.access) + count, NULL, 0);
}

/* As often as asked: without read_replies() the daemon must notice some time. */
static void send_reads(struct input *input)
{
	struct vfio_user_region_access access = {
		.region = (uint32_t)take(input, 1) % 10,
		.offset = take(input, 2),
		.count = (uint32_t)take(input, 2) % 4200,
	};

	for (uint64_t times = 1 + take(input, 1) % 64; times > 0; times--)
		send_message(VFIO_USER_REGION_READ, 0, &access, sizeof(access), NULL, 0);
}

/* Guest addresses that are worth a try: few, so that they meet again, and their edges. */
static uint64_t some_address(struct input *input)
{
	uint64_t choice = take(input, 1);
	uint64_t address = (choice & 15) * PAGE;

	switch (choice >> 4) {
	case 0:
		return address + PAGE - 64;
	case 1:
		return address + 8;
	case 2:
		return UINT64_MAX - address;
	case 3:
		return take(input, 8);
	default:
		return address;
	}
}

static void send_random_message(struct input *input)
{
	uint8_t payload[256];
	int fds[16];
	unsigned num_fds = take(input, 1) & 15;
	uint16_t command = (uint16_t)(take(input, 1) % (VFIO_USER_COMMAND_COUNT + 2));
	size_t size = take(input, 1);

	for (unsigned i = 0; i < num_fds; i++)
		fds[i] = some_fd(input);
	for (size_t i = 0; i < size; i++)
		payload[i] = (uint8_t)take(input, 1);
	send_message(command, (uint32_t)take(input, 1), payload, size, fds, num_fds);
}

static void send_raw_bytes(struct input *input)
{
	uint8_t bytes[64];
	size_t size = take(input, 1) % sizeof(bytes);
	int fds[16];
	unsigned num_fds = take(input, 1) & 15;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)take(input, 1);
	for (unsigned i = 0; i < num_fds; i++)
		fds[i] = some_fd(input);
	send_bytes(bytes, size, fds, num_fds);
}

static void send_dma_map(struct input *input)
{
	uint64_t choice = take(input, 1);
	struct vfio_user_dma_map map = {
		.argsz = sizeof(map),
		.flags = choice & 0x10 ? (uint32_t)take(input, 1) : 3,
		.address = some_address(input),
		.size = choice & 0x20 ? take(input, 8) : (1 + (choice & 15)) * PAGE,
		.offset = choice & 0x40 ? take(input, 8) : 0,
	};
	unsigned num_fds = choice & 0x80 ? take(input, 1) & 1 : 1;
	int fd = choice & 0x80 ? some_fd(input) : ram_fd;

	send_message(VFIO_USER_DMA_MAP, 0, &map, sizeof(map), &fd, num_fds);
}

static void send_dma_unmap(struct input *input)
{
	uint64_t choice = take(input, 1);
	struct vfio_user_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = choice & 0x80 ? VFIO_DMA_UNMAP_FLAG_ALL : 0,
		.address = some_address(input),
		.size = (1 + (choice & 15)) * PAGE,
	};

	send_message(VFIO_USER_DMA_UNMAP, 0, &unmap, sizeof(unmap), NULL, 0);
}

static void send_set_irqs(struct input *input)
{
	struct {
		struct vfio_user_irq_set set;
		uint8_t bools[8];
	} message = {.set = {.argsz = sizeof(message.set),
			     .flags = (uint32_t)take(input, 1),
			     .index = (uint32_t)take(input, 1) % 4,
			     .start = (uint32_t)take(input, 1) % 8,
			     .count = (uint32_t)take(input, 1) % 8}};
	int fds[8];

	for (unsigned i = 0; i < message.set.count; i++)
		fds[i] = event_fd;
	memset(message.bools, 0x55, sizeof(message.bools));
	send_message(VFIO_USER_DEVICE_SET_IRQS, 0, &message,
		     sizeof(message.set) +
			     (message.set.flags & VFIO_IRQ_SET_DATA_BOOL ? message.set.count : 0),
		     fds, message.set.flags & VFIO_IRQ_SET_DATA_EVENTFD ? message.set.count : 0);
}

static void send_multi_write(struct input *input)
{
	struct {
		uint64_t count;
		struct vfio_user_multi_write writes[8];
	} message = {.count = take(input, 1) % 10};

	for (unsigned i = 0; i < 8; i++)
		message.writes[i] = (struct vfio_user_multi_write){
			.offset = take(input, 1), .region = take(input, 1) & 1, .count = 4};
	send_message(VFIO_USER_REGION_WRITE_MULTI, 0, &message,
		     8 + (message.count < 8 ? message.count : 8) * sizeof(message.writes[0]), NULL,
		     0);
}

static void send_csb_addresses(struct input *input)
{
	uint64_t gh = some_address(input), hg = some_address(input);

	send_write(0, PTNET_IO_CSB_GH_BAH, 4, gh >> 32);
	send_write(0, PTNET_IO_CSB_GH_BAL, 4, gh);
	send_write(0, PTNET_IO_CSB_HG_BAH, 4, hg >> 32);
	send_write(0, PTNET_IO_CSB_HG_BAL, 4, hg);
}

static void read_replies(void)
{
	char bytes[4096], control[256];
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr message;

	do {
		message = (struct msghdr){.msg_iov = &iov,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control)};
		if (recvmsg(client_fd, &message, MSG_DONTWAIT) <= 0)
			return;
		for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message); cmsg != NULL;
		     cmsg = CMSG_NXTHDR(&message, cmsg)) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
			close(fd);
		}
	} while (true);
}

/* ---- the daemon's side ---- */

static void check_csb(void)
{
	uint64_t size = 2 * RINGS * sizeof(struct nm_csb_atok);
	const uint64_t addresses[] = {device.state.csb_gh, device.state.csb_hg};

	require(device.started == endpoint_running(port));
	require(!device.started || device.state.created);
	require(device.dma.num_ranges <= DMA_MAX_RANGES);
	if (!device.started || device.state.csb_in_region) {
		require(device.gh.array == NULL && device.hg.array == NULL);
		return;
	}
	require(pci_config_bus_master(&device.state.config));
	for (unsigned i = 0; i < 2; i++) {
		const struct dma_range *range = dma_table_find(&device.dma, addresses[i], size);

		require(range != NULL && range->readable && range->writable && range->file >= 0);
	}
}

/* False: the client was cut off. */
static bool serve(void)
{
	wanted = vfio_user_server_serve(&server, (uint32_t)wanted);
	if (!on_memdev)
		check_csb();
	return wanted >= 0;
}

static void run_rings(void)
{
	for (unsigned i = 0; i < RINGS; i++) {
		struct kring *tx = port_tx(port, i);
		enum port_work work = PORT_MORE;

		for (int rounds = 0; rounds < 2 * SLOTS && work == PORT_MORE; rounds++) {
			pthread_mutex_lock(&tx->lock);
			work = tx->state == KRING_RUNNING ? port->ops->run(tx, 16) : PORT_STOPPED;
			pthread_mutex_unlock(&tx->lock);
		}
	}
}

/* False: the client was cut off. */
static bool play(struct input *input)
{
	switch (take(input, 1) % 17) {
	case 0:
		send_raw_bytes(input);
		break;
	case 1:
		send_random_message(input);
		break;
	case 2:
		send_dma_map(input);
		break;
	case 3:
		send_dma_unmap(input);
		break;
	case 4:
		send_csb_addresses(input);
		break;
	case 5:
		send_write(0, PTNET_IO_PTCTL, 4, 1 + take(input, 1) % 3);
		break;
	case 6:
		send_write(0, PTNET_IO_PTFEAT, 4, take(input, 1));
		break;
	case 7: /* bus mastering */
		send_write(VFIO_PCI_CONFIG_REGION_INDEX, 4, 2, take(input, 1));
		break;
	case 8:
		send_write((uint32_t)take(input, 1) % 10, take(input, 2), 1 + take(input, 1) % 8,
			   take(input, 8));
		break;
	case 9:
		send_set_irqs(input);
		break;
	case 10:
		send_multi_write(input);
		break;
	case 11:
		send_message(VFIO_USER_DEVICE_RESET, 0, NULL, 0, NULL, 0);
		break;
	case 12:
		require(ftruncate(ram_fd, (off_t)(take(input, 1) & 15) * PAGE) == 0);
		break;
	case 13:
		if (!on_memdev)
			netif_device_csb_lost(&device);
		break;
	case 14:
		read_replies();
		break;
	case 16:
		send_reads(input);
		break;
	default:
		run_rings();
		break;
	}
	return serve();
}

/* A leaked descriptor makes the next one's number larger. */
static int next_fd(void)
{
	int fd;

	while (closer_waiting(closer) > 0)
		sched_yield();
	fd = dup(event_fd);
	require(fd >= 0);
	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vfio_user_version version = {0};
	struct input input = {data, size};
	uint64_t choice;
	int pair[2], fd_before;

	if (port == NULL)
		make_ports();
	choice = take(&input, 1);
	on_memdev = (choice & 1) != 0;
	fd_before = next_fd();
	require(ftruncate(ram_fd, RAM_SIZE) == 0);
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	client_fd = pair[0];
	wanted = EPOLLIN;
	if (on_memdev)
		memdev_init(&memdev, region);
	else
		require(netif_device_init(&device, port, &counters, closer) == 0);
	vfio_user_server_init(&server, pair[1], closer,
			      on_memdev ? &memdev.function : &device.function, "fuzz", &log_limit,
			      &counters);
	if ((choice & 2) == 0)
		send_message(VFIO_USER_VERSION, 0, &version, sizeof(version), NULL, 0);

	while (input.left > 0 && play(&input))
		;
	if (wanted >= 0) {
		shutdown(client_fd, SHUT_WR);
		for (int rounds = 0; rounds < 10000 && serve(); rounds++) {
			wanted = EPOLLIN | EPOLLOUT;
			read_replies();
		}
		require(wanted < 0); /* it has noticed that we left */
	}
	if (!on_memdev) {
		netif_device_fini(&device);
		require(!endpoint_running(port));
	}
	vfio_user_server_fini(&server);
	close(client_fd);
	require(next_fd() == fd_before);
	return 0;
}
