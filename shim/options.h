/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The options of a NIOCCTRL request: a list in the program's memory, read once into a copy
 * (spec/netmap-api.md section 5.4). What comes of them is written back from the copy.
 */
#ifndef PTNET_SHIM_OPTIONS_H
#define PTNET_SHIM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <net/netmap.h>

/* As many as fit into netmap's copy area at 24 bytes and 8 of bookkeeping each. */
#define OPTIONS_MAX 130

struct option_list {
	unsigned count;
	bool write_back; /* false: nothing may be written */
	struct {
		uint64_t address;	  /* in the program's memory */
		struct nmreq_option head; /* nro_status is written back */
	} entries[OPTIONS_MAX];
	/* Of the known types: the entry, or -1, and the body where its size is fixed. */
	int known[NETMAP_REQ_OPT_MAX];
	struct nmreq_opt_extmem extmem;
	struct nmreq_opt_csb csb;
	struct nmreq_opt_sync_kloop_mode mode;
	struct nmreq_opt_offsets offsets;
	unsigned
		num_eventfds; /* as many as nro_size says; more than there are rings are not read */
	struct {
		int32_t ioeventfd;
		int32_t irqfd;
	} eventfds[NETMAP_REQ_MAXSIZE / 8];
};

/*
 * Reads the list that begins at @first. @body_size: of the request's body, which counts as well.
 * 0: all have status EOPNOTSUPP now. -EFAULT, -EINVAL, -EMSGSIZE.
 */
int options_read(struct option_list *list, uint64_t first, size_t body_size);

/* An empty list, of a request that has none. */
void options_none(struct option_list *list);

static inline bool option_present(const struct option_list *list, uint32_t type)
{
	return list->known[type] >= 0;
}

/* @error: 0 or an errno value. */
void option_set_status(struct option_list *list, uint32_t type, int error);

/* Has one not been understood by anybody? */
bool options_left(const struct option_list *list);

/* Writes heads, and after success the bodies of those with status 0. -EFAULT. */
int options_write(const struct option_list *list, bool success);

#endif
