/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Request headers and their option lists.
 */
#include <libnetmap.h>
#include <stdlib.h>
#include <string.h>

void nmreq_header_init(struct nmreq_header *hdr, uint16_t reqtype, void *body)
{
	memset(hdr, 0, sizeof(*hdr));
	hdr->nr_version = NETMAP_API;
	hdr->nr_reqtype = reqtype;
	hdr->nr_body = (uintptr_t)body;
}

static struct nmreq_option *option_at(uint64_t address)
{
	return (struct nmreq_option *)(uintptr_t)address;
}

void nmreq_push_option(struct nmreq_header *hdr, struct nmreq_option *opt)
{
	opt->nro_next = hdr->nr_options;
	hdr->nr_options = (uintptr_t)opt;
}

void nmreq_remove_option(struct nmreq_header *hdr, struct nmreq_option *opt)
{
	uint64_t *link;

	for (link = &hdr->nr_options; *link; link = &option_at(*link)->nro_next) {
		if (option_at(*link) == opt) {
			*link = opt->nro_next;
			opt->nro_next = 0;
			return;
		}
	}
}

struct nmreq_option *nmreq_find_option(struct nmreq_header *hdr, uint32_t reqtype)
{
	struct nmreq_option *opt;

	nmreq_foreach_option(hdr, opt)
	{
		if (opt->nro_reqtype == reqtype)
			return opt;
	}
	return NULL;
}

void nmreq_free_options(struct nmreq_header *hdr)
{
	struct nmreq_option *opt = option_at(hdr->nr_options);

	hdr->nr_options = 0;
	while (opt) {
		struct nmreq_option *next = option_at(opt->nro_next);

		free(opt);
		opt = next;
	}
}

const char *nmreq_option_name(uint32_t nro_reqtype)
{
	static const char *const names[] = {
		[NETMAP_REQ_OPT_EXTMEM] = "extmem",
		[NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS] = "sync-kloop-eventfds",
		[NETMAP_REQ_OPT_CSB] = "csb",
		[NETMAP_REQ_OPT_SYNC_KLOOP_MODE] = "sync-kloop-mode",
		[NETMAP_REQ_OPT_OFFSETS] = "offsets",
	};

	if (nro_reqtype >= sizeof(names) / sizeof(names[0]) || !names[nro_reqtype])
		return "unknown";
	return names[nro_reqtype];
}
