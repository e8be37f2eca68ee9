/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libnetmap: opening a netmap port by name, and the requests around it.
 *
 *	struct nmport_d *d = nmport_open("netmap:eth0-2/x");
 *	... NETMAP_RXRING(d->nifp, d->first_rx_ring), poll on d->fd ...
 *	nmport_close(d);
 *
 * The library speaks to /dev/netmap with open, ioctl and mmap only: in a guest that is ptnet.ko's.
 * The port-name grammar is in ptnet-gen(1) and spec/netmap-api.md section 11.1; structures and
 * names are section 12.1.
 *
 * Unless a comment says otherwise: functions that return int return 0, or -1 with errno set and
 * a message to the context's error callback; functions that return a pointer return NULL
 * likewise. A descriptor belongs to one thread at a time. Descriptors of one context share
 * mappings; the default context is locked, so that is safe from several threads.
 */
#ifndef _LIBNETMAP_H_
#define _LIBNETMAP_H_

#include <net/netmap.h>
#include <net/netmap_user.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nmctx;
struct nmem_d;
struct nmport_cleanup_d;

/* ---- ports ---- */

/* An open port, or one on the way there. Programs read it; hdr and reg may be changed between
 * nmport_prepare and nmport_register. */
struct nmport_d {
	struct nmreq_header hdr;
	struct nmreq_register reg;

	struct nmem_d *mem; /* the mapped region; equal pointers: the same region */
	struct nmctx *ctx;

	int register_done;
	int mmap_done;
	struct nmreq_opt_extmem *extmem; /* the external-memory option, if any */

	int fd;
	struct netmap_if *nifp;
	uint16_t first_tx_ring; /* bound rings; first > last: none in this direction */
	uint16_t last_tx_ring;
	uint16_t first_rx_ring;
	uint16_t last_rx_ring;
	uint16_t cur_tx_ring; /* where nmport_inject goes on */
	uint16_t cur_rx_ring; /* free for the program */

	struct nmport_cleanup_d *clist; /* private */
};

/*
 * Ring ranges are the first run of non-zero ring_ofs, as with netmap's own library, but looked
 * for only among the rings that the register mode asks for: an owner that shows all rings of
 * the port to a ONE_NIC descriptor does not widen the range.
 */

/* Parses, registers and maps. Close with nmport_close. */
struct nmport_d *nmport_open(const char *portspec);
/* Unmaps (if the last user), closes, frees. NULL is allowed. */
void nmport_close(struct nmport_d *d);

/*
 * Queues one packet on the first TX ring of d with room, from cur_tx_ring on, in several slots
 * when it is longer than a buffer. No system call. Returns size, or 0 if no ring had room.
 */
int nmport_inject(struct nmport_d *d, const void *buf, size_t size);

/* The steps of nmport_open, and their opposites. Each opposite may be called when its step was
 * not done. nmport_delete undoes whatever is left. */
struct nmport_d *nmport_new(void);
struct nmport_d *nmport_new_with_ctx(struct nmctx *ctx);
void nmport_delete(struct nmport_d *d);
int nmport_parse(struct nmport_d *d, const char *portspec);
void nmport_undo_parse(struct nmport_d *d);
struct nmport_d *nmport_prepare(const char *portspec);
void nmport_undo_prepare(struct nmport_d *d);
int nmport_register(struct nmport_d *d);
void nmport_undo_register(struct nmport_d *d);
int nmport_mmap(struct nmport_d *d);
void nmport_undo_mmap(struct nmport_d *d);
int nmport_open_desc(struct nmport_d *d);
void nmport_undo_open_desc(struct nmport_d *d);

/* A new, unregistered descriptor with hdr and reg of d (previous replies included), without its
 * options. Typical use: change reg.nr_ringid, then nmport_open_desc. */
struct nmport_d *nmport_clone(struct nmport_d *d);

/* Use the caller's memory (page aligned) as the region. Before nmport_register. The memory
 * stays the caller's and must live until nmport_close. */
int nmport_extmem(struct nmport_d *d, void *base, size_t size);
/* The same with a file, mapped by the library and unmapped at nmport_close. */
int nmport_extmem_from_file(struct nmport_d *d, const char *fname);
/* Pool sizes of the external memory, to be changed before nmport_register; NULL if none. */
struct nmreq_pools_info *nmport_extmem_getinfo(struct nmport_d *d);

/* Ask that packets may start anywhere up to maxoff in their buffers, initially at initial, in
 * the low bits of slot.ptr (0: all 64), with mingap bytes left free. Before nmport_register. */
int nmport_offset(struct nmport_d *d, uint64_t initial, uint64_t maxoff, uint64_t bits,
		  uint64_t mingap);

/* Allow or forbid an '@' option in port names ("share", "conf", "extmem"; "offset" starts out
 * forbidden). For the whole process. */
void nmport_disable_option(const char *opt);
int nmport_enable_option(const char *opt);

/* ---- requests ---- */

/* Zeroes hdr and sets version, type and body. */
void nmreq_header_init(struct nmreq_header *hdr, uint16_t reqtype, void *body);

/* Reads "netmap:name" or "valeX:name" from *ppspec into hdr->nr_name and advances *ppspec to
 * what follows. On error nothing is changed. */
int nmreq_header_decode(const char **ppspec, struct nmreq_header *hdr, struct nmctx *ctx);

/* Reads mode, flags and memory id ("-2/x@3") from *pmode into reg (nr_mode, nr_ringid; adds to
 * nr_flags; nr_mem_id if given) and advances *pmode to the options, if any. On error nothing
 * is changed. */
int nmreq_register_decode(const char **pmode, struct nmreq_register *reg, struct nmctx *ctx);

/* One key of an '@' option. */
struct nmreq_opt_key {
	const char *key;
	unsigned int flags;
#define NMREQ_OPTK_DEFAULT 1 /* "@option=value" sets this key */
#define NMREQ_OPTK_MUSTSET 2
};

struct nmreq_parse_ctx;

/* One '@' option: parse is called once per occurrence, after its keys were read. It returns 0,
 * or -1 with errno set. */
struct nmreq_opt_parser {
	const char *name;
	int (*parse)(struct nmreq_parse_ctx *p);
	unsigned int flags;
#define NMREQ_OPTF_DISABLED 1
	struct nmreq_opt_parser *next;
	unsigned int nr_keys;
	const struct nmreq_opt_key *keys;
};

#define NMREQ_OPT_MAXKEYS 16

/* What parse gets. Strings live until it returns. */
struct nmreq_parse_ctx {
	struct nmctx *ctx;
	void *token;
	const struct nmreq_opt_parser *parser;
	const char *keys[NMREQ_OPT_MAXKEYS]; /* by index into parser->keys; NULL: not given */
};

/* Reads "@option..." strings with the given list of parsers, passing token on to them. */
int nmreq_options_decode(const char *opt, struct nmreq_opt_parser *parsers, void *token,
			 struct nmctx *ctx);

/* Memory id of the port whose name is at *pportname (PORT_INFO_GET); advances *pportname past
 * the name. Returns the id, or -1. */
int32_t nmreq_get_mem_id(const char **pportname, struct nmctx *ctx);

/* The option list of a request. push: opt stays the caller's and must outlive the request.
 * remove: unlinks, does not free. find: NULL if there is none. free: unlinks all and frees each
 * with free(3). */
void nmreq_push_option(struct nmreq_header *hdr, struct nmreq_option *opt);
void nmreq_remove_option(struct nmreq_header *hdr, struct nmreq_option *opt);
struct nmreq_option *nmreq_find_option(struct nmreq_header *hdr, uint32_t reqtype);
void nmreq_free_options(struct nmreq_header *hdr);
/* Name of an option type, for messages; "unknown" if it is. */
const char *nmreq_option_name(uint32_t nro_reqtype);

#define nmreq_foreach_option(h, o)                                                                 \
	for ((o) = (struct nmreq_option *)(uintptr_t)(h)->nr_options; (o) != NULL;                 \
	     (o) = (struct nmreq_option *)(uintptr_t)(o)->nro_next)

/* ---- contexts ---- */

typedef void (*nmctx_error_cb)(struct nmctx *ctx, const char *errmsg);
typedef void *(*nmctx_malloc_cb)(struct nmctx *ctx, size_t size);
typedef void (*nmctx_free_cb)(struct nmctx *ctx, void *p);
typedef void (*nmctx_lock_cb)(struct nmctx *ctx, int lock);

/* What descriptors share: error reporting, allocation, mapped regions. */
struct nmctx {
	int verbose;	      /* non-zero: report steps, too */
	nmctx_error_cb error; /* default: to stderr */
	nmctx_malloc_cb malloc;
	nmctx_free_cb free;
	nmctx_lock_cb lock; /* lock != 0: take, 0: release; NULL: one thread */

	struct nmem_d *mem_descs; /* private */
};

/* A mapped region. */
struct nmem_d {
	uint16_t mem_id;
	int refcount;
	void *mem;
	size_t size;
	int is_extmem; /* the memory is the program's own */
	struct nmem_d *next;
	struct nmem_d *prev;
};

/* The default context of the process, and changing it (returns the former one). */
struct nmctx *nmctx_get(void);
struct nmctx *nmctx_set_default(struct nmctx *ctx);
/* Gives the default context a lock if a program took it away or set a context without one. */
void nmctx_set_threadsafe(void);

/* Formats a message for the context's error callback. errno is kept. */
void nmctx_ferror(struct nmctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *nmctx_malloc(struct nmctx *ctx, size_t size);
void nmctx_free(struct nmctx *ctx, void *p);
void nmctx_lock(struct nmctx *ctx);
void nmctx_unlock(struct nmctx *ctx);

/* ---- layout (section 12.1): programs were compiled against these ---- */

NETMAP_PIN_SIZE(struct nmport_d, 216);
NETMAP_PIN_OFFSET(struct nmport_d, hdr, 0);
NETMAP_PIN_OFFSET(struct nmport_d, reg, 88);
NETMAP_PIN_OFFSET(struct nmport_d, mem, 144);
NETMAP_PIN_OFFSET(struct nmport_d, ctx, 152);
NETMAP_PIN_OFFSET(struct nmport_d, register_done, 160);
NETMAP_PIN_OFFSET(struct nmport_d, mmap_done, 164);
NETMAP_PIN_OFFSET(struct nmport_d, extmem, 168);
NETMAP_PIN_OFFSET(struct nmport_d, fd, 176);
NETMAP_PIN_OFFSET(struct nmport_d, nifp, 184);
NETMAP_PIN_OFFSET(struct nmport_d, first_tx_ring, 192);
NETMAP_PIN_OFFSET(struct nmport_d, last_tx_ring, 194);
NETMAP_PIN_OFFSET(struct nmport_d, first_rx_ring, 196);
NETMAP_PIN_OFFSET(struct nmport_d, last_rx_ring, 198);
NETMAP_PIN_OFFSET(struct nmport_d, cur_tx_ring, 200);
NETMAP_PIN_OFFSET(struct nmport_d, cur_rx_ring, 202);
NETMAP_PIN_OFFSET(struct nmport_d, clist, 208);

NETMAP_PIN_SIZE(struct nmem_d, 48);
NETMAP_PIN_OFFSET(struct nmem_d, mem_id, 0);
NETMAP_PIN_OFFSET(struct nmem_d, refcount, 4);
NETMAP_PIN_OFFSET(struct nmem_d, mem, 8);
NETMAP_PIN_OFFSET(struct nmem_d, size, 16);
NETMAP_PIN_OFFSET(struct nmem_d, is_extmem, 24);
NETMAP_PIN_OFFSET(struct nmem_d, next, 32);
NETMAP_PIN_OFFSET(struct nmem_d, prev, 40);

NETMAP_PIN_SIZE(struct nmctx, 48);
NETMAP_PIN_OFFSET(struct nmctx, verbose, 0);
NETMAP_PIN_OFFSET(struct nmctx, error, 8);
NETMAP_PIN_OFFSET(struct nmctx, malloc, 16);
NETMAP_PIN_OFFSET(struct nmctx, free, 24);
NETMAP_PIN_OFFSET(struct nmctx, lock, 32);
NETMAP_PIN_OFFSET(struct nmctx, mem_descs, 40);

#ifdef __cplusplus
}
#endif

#endif /* _LIBNETMAP_H_ */
