/* SPDX-License-Identifier: BSD-2-Clause */
#include "ownmac.h"

#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int interface_mac(const char *name, uint64_t *mac)
{
	struct ifreq ifr;
	int fd, error, i;

	if (strlen(name) >= sizeof(ifr.ifr_name))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, name, strlen(name));
	error = ioctl(fd, SIOCGIFHWADDR, &ifr);
	close(fd);
	if (error)
		return -1;
	*mac = 0;
	for (i = 0; i < 6; i++)
		*mac = *mac << 8 | (uint8_t)ifr.ifr_hwaddr.sa_data[i];
	return *mac ? 0 : -1;
}

/* FNV-1a */
static uint64_t hash(const char *data, size_t len, uint64_t h)
{
	while (len--)
		h = (h ^ (uint8_t)*data++) * UINT64_C(0x100000001b3);
	return h;
}

void own_mac(struct address_range *r, const char *port)
{
	uint64_t mac, h = UINT64_C(0xcbf29ce484222325);
	char boot[64];
	ssize_t n = 0;
	int fd;

	r->count = 1;
	if (!interface_mac(port, &mac)) {
		r->first = mac;
		return;
	}
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, boot, sizeof(boot));
		close(fd);
	}
	h = hash(boot, n > 0 ? (size_t)n : 0, h);
	h = hash(port, strlen(port), h);
	r->first = UINT64_C(0x020000000000) | (h ^ h >> 40) % (UINT64_C(1) << 40);
}
