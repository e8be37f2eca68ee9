/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the '@' options of a port name do: share, conf, extmem, offset. The functions behind
 * the last two are also for programs to call.
 */
#include "port_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- request options that live as long as the parse ---- */

struct owned_option {
	struct nmport_cleanup_d clean;
	void *file_map; /* extmem from a file: its mapping */
	size_t file_size;
	union {
		struct nmreq_option opt;
		struct nmreq_opt_extmem extmem;
		struct nmreq_opt_offsets offsets;
	};
};

static void free_option(struct nmport_cleanup_d *c, struct nmport_d *d)
{
	struct owned_option *o = (struct owned_option *)c;

	nmreq_remove_option(&d->hdr, &o->opt);
	if (d->extmem == &o->extmem)
		d->extmem = NULL;
	if (o->file_map)
		munmap(o->file_map, o->file_size);
	nmctx_free(d->ctx, o);
}

static struct owned_option *add_option(struct nmport_d *d, uint32_t reqtype)
{
	struct owned_option *o;

	if (d->register_done || nmreq_find_option(&d->hdr, reqtype)) {
		nmctx_ferror(d->ctx, "%s: option %s: %s", d->hdr.nr_name,
			     nmreq_option_name(reqtype),
			     d->register_done ? "too late, the port is registered" : "given twice");
		errno = EINVAL;
		return NULL;
	}
	o = nmctx_malloc(d->ctx, sizeof(*o));
	if (!o) {
		nmctx_ferror(d->ctx, "out of memory");
		errno = ENOMEM;
		return NULL;
	}
	memset(o, 0, sizeof(*o));
	o->opt.nro_reqtype = reqtype;
	o->clean.cleanup = free_option;
	nmreq_push_option(&d->hdr, &o->opt);
	port_push_cleanup(d, &o->clean);
	return o;
}

int nmport_extmem(struct nmport_d *d, void *base, size_t size)
{
	struct owned_option *o = add_option(d, NETMAP_REQ_OPT_EXTMEM);

	if (!o)
		return -1;
	o->extmem.nro_usrptr = (uintptr_t)base;
	o->extmem.nro_info.nr_memsize = size;
	d->extmem = &o->extmem;
	return 0;
}

int nmport_extmem_from_file(struct nmport_d *d, const char *fname)
{
	struct stat st;
	void *map = MAP_FAILED;
	int fd, error;

	fd = open(fname, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		goto fail;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		goto fail;
	if (nmport_extmem(d, map, (size_t)st.st_size)) {
		error = errno;
		munmap(map, (size_t)st.st_size);
		close(fd);
		errno = error;
		return -1;
	}
	/* The option just added is the newest thing to clean up. */
	((struct owned_option *)d->clist)->file_map = map;
	((struct owned_option *)d->clist)->file_size = (size_t)st.st_size;
	close(fd);
	return 0;
fail:
	error = errno;
	nmctx_ferror(d->ctx, "cannot use %s as packet memory: %s", fname, strerror(error));
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

struct nmreq_pools_info *nmport_extmem_getinfo(struct nmport_d *d)
{
	return d->extmem ? &d->extmem->nro_info : NULL;
}

int nmport_offset(struct nmport_d *d, uint64_t initial, uint64_t maxoff, uint64_t bits,
		  uint64_t mingap)
{
	struct owned_option *o = add_option(d, NETMAP_REQ_OPT_OFFSETS);

	if (!o)
		return -1;
	o->offsets.nro_initial_offset = initial;
	o->offsets.nro_max_offset = maxoff;
	o->offsets.nro_offset_bits = (uint32_t)bits;
	o->offsets.nro_min_gap = mingap;
	return 0;
}

/* ---- port names ---- */

static int refuse(struct nmreq_parse_ctx *p, unsigned int key, const char *why)
{
	nmctx_ferror(p->ctx, "port option '%s:%s=%s': %s", p->parser->name,
		     p->parser->keys[key].key, p->keys[key], why);
	errno = EINVAL;
	return -1;
}

/* A number of at most max; leaves *value alone if the key was not given. */
static int number(struct nmreq_parse_ctx *p, unsigned int key, uint64_t max, uint64_t *value)
{
	unsigned long long n;
	char *end;

	if (!p->keys[key])
		return 0;
	errno = 0;
	n = strtoull(p->keys[key], &end, 0);
	if (errno || *end || p->keys[key][0] == '-')
		return refuse(p, key, "not a number");
	if (n > max)
		return refuse(p, key, "too large");
	*value = n;
	return 0;
}

static int parse_share(struct nmreq_parse_ctx *p)
{
	struct nmport_d *d = p->token;
	const char *name = p->keys[0];
	int32_t id = nmreq_get_mem_id(&name, p->ctx);

	if (id < 0)
		return -1;
	if (*name)
		return refuse(p, 0, "a port's name only, without mode or flags");
	if (d->reg.nr_mem_id && d->reg.nr_mem_id != id)
		return refuse(p, 0, "the port name asks for a different memory id, too");
	d->reg.nr_mem_id = (uint16_t)id;
	return 0;
}

enum {
	CONF_RINGS,
	CONF_HOST_RINGS,
	CONF_SLOTS,
	CONF_TX_RINGS,
	CONF_RX_RINGS,
	CONF_HOST_TX_RINGS,
	CONF_HOST_RX_RINGS,
	CONF_TX_SLOTS,
	CONF_RX_SLOTS,
	CONF_KEYS,
};

static const struct nmreq_opt_key conf_keys[CONF_KEYS] = {
	[CONF_RINGS] = {"rings", 0},
	[CONF_HOST_RINGS] = {"host_rings", 0},
	[CONF_SLOTS] = {"slots", 0},
	[CONF_TX_RINGS] = {"tx_rings", 0},
	[CONF_RX_RINGS] = {"rx_rings", 0},
	[CONF_HOST_TX_RINGS] = {"host_tx_rings", 0},
	[CONF_HOST_RX_RINGS] = {"host_rx_rings", 0},
	[CONF_TX_SLOTS] = {"tx_slots", 0},
	[CONF_RX_SLOTS] = {"rx_slots", 0},
};

static int parse_conf(struct nmreq_parse_ctx *p)
{
	struct nmreq_register *reg = &((struct nmport_d *)p->token)->reg;
	uint64_t v[CONF_KEYS] = {0};
	unsigned int i;

	for (i = 0; i < CONF_KEYS; i++) {
		int slots = i == CONF_SLOTS || i >= CONF_TX_SLOTS;

		if (number(p, i, slots ? UINT32_MAX : UINT16_MAX, &v[i]))
			return -1;
	}
	/* The keys for both directions first, then those for one. */
	if (p->keys[CONF_RINGS])
		reg->nr_tx_rings = reg->nr_rx_rings = (uint16_t)v[CONF_RINGS];
	if (p->keys[CONF_HOST_RINGS])
		reg->nr_host_tx_rings = reg->nr_host_rx_rings = (uint16_t)v[CONF_HOST_RINGS];
	if (p->keys[CONF_SLOTS])
		reg->nr_tx_slots = reg->nr_rx_slots = (uint32_t)v[CONF_SLOTS];
	if (p->keys[CONF_TX_RINGS])
		reg->nr_tx_rings = (uint16_t)v[CONF_TX_RINGS];
	if (p->keys[CONF_RX_RINGS])
		reg->nr_rx_rings = (uint16_t)v[CONF_RX_RINGS];
	if (p->keys[CONF_HOST_TX_RINGS])
		reg->nr_host_tx_rings = (uint16_t)v[CONF_HOST_TX_RINGS];
	if (p->keys[CONF_HOST_RX_RINGS])
		reg->nr_host_rx_rings = (uint16_t)v[CONF_HOST_RX_RINGS];
	if (p->keys[CONF_TX_SLOTS])
		reg->nr_tx_slots = (uint32_t)v[CONF_TX_SLOTS];
	if (p->keys[CONF_RX_SLOTS])
		reg->nr_rx_slots = (uint32_t)v[CONF_RX_SLOTS];
	return 0;
}

static int parse_extmem(struct nmreq_parse_ctx *p)
{
	struct nmport_d *d = p->token;
	struct nmreq_pools_info *info;
	uint64_t v[7] = {0};
	unsigned int i;

	for (i = 1; i < 7; i++) {
		if (number(p, i, UINT32_MAX, &v[i]))
			return -1;
	}
	if (nmport_extmem_from_file(d, p->keys[0]))
		return -1;
	info = nmport_extmem_getinfo(d);
	info->nr_if_pool_objtotal = (uint32_t)v[1];
	info->nr_if_pool_objsize = (uint32_t)v[2];
	info->nr_ring_pool_objtotal = (uint32_t)v[3];
	info->nr_ring_pool_objsize = (uint32_t)v[4];
	info->nr_buf_pool_objtotal = (uint32_t)v[5];
	info->nr_buf_pool_objsize = (uint32_t)v[6];
	return 0;
}

static int parse_offset(struct nmreq_parse_ctx *p)
{
	uint64_t initial = 0, bits = 0;

	if (number(p, 0, UINT64_MAX, &initial) || number(p, 1, 64, &bits))
		return -1;
	return nmport_offset(p->token, initial, initial, bits, 0);
}

static const struct nmreq_opt_key share_keys[] = {
	{"port", NMREQ_OPTK_DEFAULT | NMREQ_OPTK_MUSTSET},
};

static const struct nmreq_opt_key extmem_keys[] = {
	{"file", NMREQ_OPTK_DEFAULT | NMREQ_OPTK_MUSTSET},
	{"if_num", 0},
	{"if_size", 0},
	{"ring_num", 0},
	{"ring_size", 0},
	{"buf_num", 0},
	{"buf_size", 0},
};

static const struct nmreq_opt_key offset_keys[] = {
	{"initial", NMREQ_OPTK_DEFAULT | NMREQ_OPTK_MUSTSET},
	{"bits", 0},
};

static struct nmreq_opt_parser offset_option = {
	"offset", parse_offset, NMREQ_OPTF_DISABLED, NULL, 2, offset_keys,
};
static struct nmreq_opt_parser extmem_option = {
	"extmem", parse_extmem, 0, &offset_option, 7, extmem_keys,
};
static struct nmreq_opt_parser conf_option = {
	"conf", parse_conf, 0, &extmem_option, CONF_KEYS, conf_keys,
};
static struct nmreq_opt_parser share_option = {
	"share", parse_share, 0, &conf_option, 1, share_keys,
};

struct nmreq_opt_parser *libnetmap_option_parsers(void)
{
	return &share_option;
}

static struct nmreq_opt_parser *find_option(const char *name)
{
	struct nmreq_opt_parser *p = libnetmap_option_parsers();

	while (p && strcmp(p->name, name) != 0)
		p = p->next;
	return p;
}

void nmport_disable_option(const char *opt)
{
	struct nmreq_opt_parser *p = find_option(opt);

	if (p)
		p->flags |= NMREQ_OPTF_DISABLED;
}

int nmport_enable_option(const char *opt)
{
	struct nmreq_opt_parser *p = find_option(opt);

	if (!p) {
		errno = EOPNOTSUPP;
		return -1;
	}
	p->flags &= ~(unsigned int)NMREQ_OPTF_DISABLED;
	return 0;
}
