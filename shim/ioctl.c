/* SPDX-License-Identifier: BSD-2-Clause */
/* ioctl(): netmap's own, and what a descriptor of netmap's makes of others. */
#include <errno.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "description.h"
#include "real.h"
#include "request.h"
#include "sync.h"
#include "table.h"

/* The kernel compares 32 bits, whatever the program's type made of them. */
static bool is_netmap_number(uint32_t number)
{
	return number == (uint32_t)NIOCTXSYNC || number == (uint32_t)NIOCRXSYNC ||
	       number == (uint32_t)NIOCCTRL || number == (uint32_t)NIOCREGIF ||
	       number == (uint32_t)NIOCGINFO || number == (uint32_t)NIOCCONFIG;
}

/* These are the kernel's for any descriptor, before a device is asked. */
static bool is_general(uint32_t number)
{
	return number == FIOCLEX || number == FIONCLEX || number == FIONBIO || number == FIOASYNC;
}

static int sync_rings(struct description *d, int fd, bool tx)
{
	int result = description_join(d, fd);

	if (SHIM_UNLIKELY(result < 0))
		return result;
	if (SHIM_UNLIKELY(__atomic_load_n(&d->csb_mode, __ATOMIC_RELAXED)))
		return -EBUSY;
	return tx ? sync_all_tx(d, fd) : sync_all_rx(d);
}

static int netmap_ioctl(struct description *d, int fd, uint32_t number, void *argument)
{
	uint64_t address = (uintptr_t)argument;

	switch (number) {
	case (uint32_t)NIOCTXSYNC:
		return sync_rings(d, fd, true);
	case (uint32_t)NIOCRXSYNC:
		return sync_rings(d, fd, false);
	case (uint32_t)NIOCCTRL:
		return request_control(d, fd, address);
	case (uint32_t)NIOCREGIF:
		return request_legacy(d, fd, address, 1);
	case (uint32_t)NIOCGINFO:
		return request_legacy(d, fd, address, 0);
	case (uint32_t)NIOCCONFIG:
		return -EINVAL;
	default:
		return -EOPNOTSUPP;
	}
}

SHIM_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	uint32_t number = (uint32_t)request;
	struct description *d = NULL;
	va_list arguments;
	void *argument;
	int result;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (SHIM_UNLIKELY(is_netmap_number(number)))
		d = description_find(fd);
	else if (table_in_use() && !is_general(number))
		d = description_get(fd);
	if (d != NULL &&
	    SHIM_UNLIKELY(number != (uint32_t)NIOCTXSYNC && number != (uint32_t)NIOCRXSYNC) &&
	    !description_verify(fd, d)) {
		description_put(d);
		d = NULL;
	}
	if (d == NULL)
		return real.ioctl(fd, request, argument);
	result = netmap_ioctl(d, fd, number, argument);
	description_put(d);
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}
