/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <errno.h>
#include <string.h>

#include <ptnet/requests.h>

#include "program_memory.h"

/* netmap's copy area: body and options, two pointers, and one pointer for each option. */
#define AREA	   (NETMAP_REQ_MAXSIZE + 8 * sizeof(uint64_t))
#define POINTERS   (2 * sizeof(uint64_t))
#define BOOKMARK   sizeof(uint64_t)
#define HEAD	   sizeof(struct nmreq_option)
#define UNKNOWN(t) ((t) >= NETMAP_REQ_OPT_MAX)

void options_none(struct option_list *list)
{
	unsigned i;

	list->count = 0;
	list->write_back = true;
	list->num_eventfds = 0;
	for (i = 0; i < NETMAP_REQ_OPT_MAX; i++)
		list->known[i] = -1;
}

static void *body_of(struct option_list *list, uint32_t type)
{
	switch (type) {
	case NETMAP_REQ_OPT_EXTMEM:
		return &list->extmem;
	case NETMAP_REQ_OPT_CSB:
		return &list->csb;
	case NETMAP_REQ_OPT_SYNC_KLOOP_MODE:
		return &list->mode;
	case NETMAP_REQ_OPT_OFFSETS:
		return &list->offsets;
	default:
		return NULL;
	}
}

static int read_body(struct option_list *list, uint64_t address, const struct nmreq_option *head,
		     uint64_t size)
{
	if (head->nro_reqtype != NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS)
		return program_read(body_of(list, head->nro_reqtype), address, size);
	list->num_eventfds = (unsigned)((size - HEAD) / sizeof(list->eventfds[0]));
	return program_read(list->eventfds, address + HEAD,
			    list->num_eventfds * sizeof(list->eventfds[0]));
}

/* A known type, whose entry is the last. *total: of body and options so far. *used: of the area. */
static int read_known(struct option_list *list, size_t *total, size_t *used)
{
	unsigned here = list->count - 1;
	struct nmreq_option *head = &list->entries[here].head;
	uint64_t size = ptnet_option_size(head);
	int other = list->known[head->nro_reqtype];

	if (other >= 0) {
		list->entries[other].head.nro_status = EINVAL;
		head->nro_status = EINVAL;
		return -EINVAL;
	}
	if (size > NETMAP_REQ_MAXSIZE || head->nro_size > NETMAP_REQ_MAXSIZE ||
	    *total + size > NETMAP_REQ_MAXSIZE || *used + size + BOOKMARK > AREA)
		return -EMSGSIZE;
	list->known[head->nro_reqtype] = (int)here;
	*total += size;
	*used += size + BOOKMARK;
	return read_body(list, list->entries[here].address, head, size);
}

static int read_one(struct option_list *list, uint64_t address, size_t *total, size_t *used)
{
	struct nmreq_option *head = &list->entries[list->count].head;

	if (list->count == OPTIONS_MAX || *used + HEAD + BOOKMARK > AREA) {
		list->write_back = false;
		return -EMSGSIZE;
	}
	if (program_read(head, address, sizeof(*head)) < 0)
		return -EFAULT;
	list->entries[list->count++].address = address;
	if (head->nro_reqtype == 0) {
		head->nro_status = EINVAL;
		return -EINVAL;
	}
	if (!UNKNOWN(head->nro_reqtype))
		return read_known(list, total, used);
	*total += HEAD;
	*used += HEAD + BOOKMARK;
	return *total > NETMAP_REQ_MAXSIZE ? -EMSGSIZE : 0;
}

int options_read(struct option_list *list, uint64_t first, size_t body_size)
{
	size_t total = body_size, used = POINTERS + body_size;
	unsigned i;

	options_none(list);
	while (first != 0) {
		int result = read_one(list, first, &total, &used);

		if (result < 0)
			return result;
		first = list->entries[list->count - 1].head.nro_next;
	}
	for (i = 0; i < list->count; i++)
		list->entries[i].head.nro_status = EOPNOTSUPP;
	return 0;
}

void option_set_status(struct option_list *list, uint32_t type, int error)
{
	if (option_present(list, type))
		list->entries[list->known[type]].head.nro_status = (uint32_t)error;
}

bool options_left(const struct option_list *list)
{
	unsigned i;

	for (i = 0; i < list->count; i++)
		if (list->entries[i].head.nro_status == EOPNOTSUPP)
			return true;
	return false;
}

int options_write(const struct option_list *list, bool success)
{
	unsigned i;
	int result = 0;

	if (!list->write_back)
		return 0;
	for (i = 0; i < list->count; i++) {
		const struct nmreq_option *head = &list->entries[i].head;
		const void *body = UNKNOWN(head->nro_reqtype)
					   ? NULL
					   : body_of((struct option_list *)list, head->nro_reqtype);

		if (program_write(list->entries[i].address, head, sizeof(*head)) < 0 ||
		    (success && head->nro_status == 0 && body != NULL &&
		     program_write(list->entries[i].address + HEAD, (const char *)body + HEAD,
				   ptnet_option_size(head) - HEAD) < 0))
			result = -EFAULT;
	}
	return result;
}
