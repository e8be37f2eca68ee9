/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening and closing ports, step by step. Each step leaves the descriptor as it was when it
 * fails, and each undo may be called whatever was done.
 */
#include "port_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct nmport_d *nmport_new_with_ctx(struct nmctx *ctx)
{
	struct nmport_d *d = nmctx_malloc(ctx, sizeof(*d));

	if (!d) {
		nmctx_ferror(ctx, "out of memory");
		errno = ENOMEM;
		return NULL;
	}
	memset(d, 0, sizeof(*d));
	nmreq_header_init(&d->hdr, NETMAP_REQ_REGISTER, &d->reg);
	d->ctx = ctx;
	d->fd = -1;
	return d;
}

struct nmport_d *nmport_new(void)
{
	return nmport_new_with_ctx(nmctx_get());
}

void nmport_delete(struct nmport_d *d)
{
	if (!d)
		return;
	nmport_undo_open_desc(d);
	nmport_undo_parse(d);
	nmctx_free(d->ctx, d);
}

int nmport_parse(struct nmport_d *d, const char *portspec)
{
	const char *scan = portspec;

	if (d->register_done) {
		nmctx_ferror(d->ctx, "%s: already registered", d->hdr.nr_name);
		errno = EINVAL;
		return -1;
	}
	if (nmreq_header_decode(&scan, &d->hdr, d->ctx) ||
	    nmreq_register_decode(&scan, &d->reg, d->ctx) ||
	    nmreq_options_decode(scan, libnetmap_option_parsers(), d, d->ctx)) {
		int error = errno;

		nmport_undo_parse(d);
		errno = error;
		return -1;
	}
	return 0;
}

void nmport_undo_parse(struct nmport_d *d)
{
	while (d->clist) {
		struct nmport_cleanup_d *c = d->clist;

		d->clist = c->next;
		c->cleanup(c, d);
	}
	nmreq_header_init(&d->hdr, NETMAP_REQ_REGISTER, &d->reg);
	memset(&d->reg, 0, sizeof(d->reg));
}

struct nmport_d *nmport_prepare(const char *portspec)
{
	struct nmport_d *d = nmport_new();
	int error;

	if (!d || !nmport_parse(d, portspec))
		return d;
	error = errno;
	nmport_delete(d);
	errno = error;
	return NULL;
}

void nmport_undo_prepare(struct nmport_d *d)
{
	nmport_delete(d);
}

/* Says which option the owner did not take, if it was that. */
static void report_register_error(struct nmport_d *d, int error)
{
	struct nmreq_option *opt;

	nmctx_ferror(d->ctx, "%s: cannot register: %s", d->hdr.nr_name, strerror(error));
	nmreq_foreach_option(&d->hdr, opt)
	{
		if (opt->nro_status)
			nmctx_ferror(d->ctx, "%s: option %s: %s", d->hdr.nr_name,
				     nmreq_option_name(opt->nro_reqtype),
				     strerror((int)opt->nro_status));
	}
}

int nmport_register(struct nmport_d *d)
{
	int error;

	if (d->register_done) {
		nmctx_ferror(d->ctx, "%s: already registered", d->hdr.nr_name);
		errno = EINVAL;
		return -1;
	}
	d->fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (d->fd < 0) {
		nmctx_ferror(d->ctx, "cannot open %s: %s%s", NETMAP_DEVICE_NAME, strerror(errno),
			     errno != ENOENT ? ""
					     : " (on a host, start ptnetd, and the program with "
					       "ptnet-run; in a guest, load ptnet.ko)");
		return -1;
	}
	if (ioctl(d->fd, NIOCCTRL, &d->hdr) < 0) {
		error = errno;
		report_register_error(d, error);
		close(d->fd);
		d->fd = -1;
		errno = error;
		return -1;
	}
	d->register_done = 1;
	return 0;
}

void nmport_undo_register(struct nmport_d *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	d->register_done = 0;
}

int nmport_mmap(struct nmport_d *d)
{
	if (d->mmap_done || !d->register_done) {
		nmctx_ferror(d->ctx, "%s: %s", d->hdr.nr_name,
			     d->mmap_done ? "already mapped" : "not registered");
		errno = EINVAL;
		return -1;
	}
	d->mem = libnetmap_mapping_get(d);
	if (!d->mem)
		return -1;
	d->nifp = NETMAP_IF(d->mem->mem, d->reg.nr_offset);
	libnetmap_set_ring_ranges(d);
	d->mmap_done = 1;
	return 0;
}

void nmport_undo_mmap(struct nmport_d *d)
{
	if (!d->mmap_done)
		return;
	libnetmap_mapping_put(d->ctx, d->mem);
	d->mem = NULL;
	d->nifp = NULL;
	d->first_tx_ring = d->last_tx_ring = d->cur_tx_ring = 0;
	d->first_rx_ring = d->last_rx_ring = d->cur_rx_ring = 0;
	d->mmap_done = 0;
}

int nmport_open_desc(struct nmport_d *d)
{
	int error;

	if (nmport_register(d))
		return -1;
	if (!nmport_mmap(d))
		return 0;
	error = errno;
	nmport_undo_register(d);
	errno = error;
	return -1;
}

void nmport_undo_open_desc(struct nmport_d *d)
{
	nmport_undo_mmap(d);
	nmport_undo_register(d);
}

struct nmport_d *nmport_open(const char *portspec)
{
	struct nmport_d *d = nmport_prepare(portspec);
	int error;

	if (!d || !nmport_open_desc(d))
		return d;
	error = errno;
	nmport_delete(d);
	errno = error;
	return NULL;
}

void nmport_close(struct nmport_d *d)
{
	nmport_delete(d);
}

struct nmport_d *nmport_clone(struct nmport_d *d)
{
	struct nmport_d *c = nmport_new_with_ctx(d->ctx);

	if (!c)
		return NULL;
	c->hdr = d->hdr;
	c->hdr.nr_options = 0;
	c->hdr.nr_body = (uintptr_t)&c->reg;
	c->reg = d->reg;
	return c;
}
