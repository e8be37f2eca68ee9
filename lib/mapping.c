/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mapped regions. A context maps each region once, however many ports of it are open: ports
 * of one region then see the same addresses, and may swap buffers. A region is known by its
 * memory id, which the owner does not use again while the mapping lives.
 */
#include "port_private.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static struct nmem_d *find(struct nmctx *ctx, uint16_t mem_id)
{
	struct nmem_d *m;

	for (m = ctx->mem_descs; m; m = m->next) {
		if (m->mem_id == mem_id)
			break;
	}
	return m;
}

static struct nmem_d *map(struct nmport_d *d)
{
	struct nmem_d *m = nmctx_malloc(d->ctx, sizeof(*m));

	if (!m) {
		nmctx_ferror(d->ctx, "out of memory");
		errno = ENOMEM;
		return NULL;
	}
	memset(m, 0, sizeof(*m));
	m->mem_id = d->reg.nr_mem_id;
	m->size = d->reg.nr_memsize;
	if (d->extmem) {
		m->is_extmem = 1;
		m->mem = (void *)(uintptr_t)d->extmem->nro_usrptr;
		m->size = d->extmem->nro_info.nr_memsize;
		return m;
	}
	m->mem = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (m->mem == MAP_FAILED) {
		nmctx_ferror(d->ctx, "%s: cannot map %zu bytes of packet memory: %s",
			     d->hdr.nr_name, m->size, strerror(errno));
		nmctx_free(d->ctx, m);
		return NULL;
	}
	return m;
}

static void insert(struct nmctx *ctx, struct nmem_d *m)
{
	m->next = ctx->mem_descs;
	if (m->next)
		m->next->prev = m;
	ctx->mem_descs = m;
}

static void unlink_mapping(struct nmctx *ctx, struct nmem_d *m)
{
	if (m->next)
		m->next->prev = m->prev;
	if (m->prev)
		m->prev->next = m->next;
	else
		ctx->mem_descs = m->next;
}

struct nmem_d *libnetmap_mapping_get(struct nmport_d *d)
{
	struct nmem_d *m;

	nmctx_lock(d->ctx);
	m = find(d->ctx, d->reg.nr_mem_id);
	if (!m) {
		m = map(d);
		if (m)
			insert(d->ctx, m);
	}
	if (m)
		m->refcount++;
	nmctx_unlock(d->ctx);
	return m;
}

void libnetmap_mapping_put(struct nmctx *ctx, struct nmem_d *m)
{
	nmctx_lock(ctx);
	if (--m->refcount == 0) {
		unlink_mapping(ctx, m);
		if (!m->is_extmem)
			munmap(m->mem, m->size);
		nmctx_free(ctx, m);
	}
	nmctx_unlock(ctx);
}
