/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the port family share. Functions bear the library's name, since a program
 * that links libnetmap.a may have a mapping_get of its own.
 */
#ifndef LIBNETMAP_PORT_PRIVATE_H
#define LIBNETMAP_PORT_PRIVATE_H

#include <libnetmap.h>

/* Something to undo when the parse of a port is undone; the newest first. Embedded in what
 * cleanup frees. */
struct nmport_cleanup_d {
	struct nmport_cleanup_d *next;
	void (*cleanup)(struct nmport_cleanup_d *c, struct nmport_d *d);
};

static inline void port_push_cleanup(struct nmport_d *d, struct nmport_cleanup_d *c)
{
	c->next = d->clist;
	d->clist = c;
}

/* The '@' options that nmport_parse understands (portoption.c). */
struct nmreq_opt_parser *libnetmap_option_parsers(void);

/* Finds or makes the mapping of a registered port in its context, one reference for the
 * caller. NULL with errno. */
struct nmem_d *libnetmap_mapping_get(struct nmport_d *d);
/* Gives a reference back; unmaps with the last one. */
void libnetmap_mapping_put(struct nmctx *ctx, struct nmem_d *m);

/* Sets first/last/cur rings of a mapped port. */
void libnetmap_set_ring_ranges(struct nmport_d *d);

#endif
