/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asking for the memory id of somebody else's port.
 */
#include <errno.h>
#include <fcntl.h>
#include <libnetmap.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int32_t nmreq_get_mem_id(const char **portname, struct nmctx *ctx)
{
	struct nmreq_port_info_get info;
	struct nmreq_header hdr;
	const char *scan = *portname;
	int fd, error;

	memset(&info, 0, sizeof(info));
	nmreq_header_init(&hdr, NETMAP_REQ_PORT_INFO_GET, &info);
	if (nmreq_header_decode(&scan, &hdr, ctx))
		return -1;
	fd = open(NETMAP_DEVICE_NAME, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		nmctx_ferror(ctx, "cannot open %s: %s", NETMAP_DEVICE_NAME, strerror(errno));
		return -1;
	}
	if (ioctl(fd, NIOCCTRL, &hdr) < 0) {
		error = errno;
		nmctx_ferror(ctx, "%s: cannot get the memory id: %s", hdr.nr_name, strerror(error));
		close(fd);
		errno = error;
		return -1;
	}
	close(fd);
	*portname = scan;
	return info.nr_mem_id;
}
