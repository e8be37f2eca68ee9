/* SPDX-License-Identifier: BSD-2-Clause */
#include "request.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <ptnet/requests.h>

#include "csb.h"
#include "daemon.h"
#include "extmem.h"
#include "kloop.h"
#include "legacy.h"
#include "options.h"
#include "program_memory.h"
#include "real.h"

/* ---- with the daemon ---- */

/* The daemon's answer to one request. */
struct exchange {
	struct ptnet_local_request request;
	struct ptnet_local_reply reply;
	int fds[PTNET_LOCAL_MAX_FDS];
	unsigned num_fds;
};

static void drop_fds(struct exchange *x)
{
	while (x->num_fds > 0) {
		int fd = x->fds[--x->num_fds];

		if (fd >= 0)
			raw_close(fd);
	}
}

static void exchange_fill(struct exchange *x, const struct request *request)
{
	memset(&x->request, 0, sizeof(x->request));
	x->request.version = PTNET_LOCAL_VERSION;
	x->request.op = PTNET_LOCAL_CTRL;
	x->request.reqtype = request->type;
	memcpy(x->request.name, request->name, sizeof(x->request.name));
	x->request.body = request->body.common;
}

static int exchange_run(struct exchange *x, struct description *d, int fd)
{
	int result = daemon_request(d, fd, &x->request, &x->reply, x->fds, &x->num_fds);

	if (result < 0)
		return result;
	return x->reply.error > 0 ? -x->reply.error : 0;
}

/* All but REGISTER: nothing of ours is in it. */
static int carry_out(struct description *d, int fd, struct request *request)
{
	struct exchange x;
	int result;

	exchange_fill(&x, request);
	pthread_mutex_lock(&d->request_lock);
	result = exchange_run(&x, d, fd);
	pthread_mutex_unlock(&d->request_lock);
	drop_fds(&x);
	if (result < 0)
		return result;
	request->body.common = x.reply.body;
	if (request->type == NETMAP_REQ_VALE_LIST)
		memcpy(request->name, x.reply.name, sizeof(request->name));
	return 0;
}

/* ---- REGISTER ---- */

static void undo_register(struct description *d, int fd)
{
	struct exchange x;

	memset(&x.request, 0, sizeof(x.request));
	x.request.version = PTNET_LOCAL_VERSION;
	x.request.op = PTNET_LOCAL_UNREGISTER;
	if (daemon_request(d, fd, &x.request, &x.reply, x.fds, &x.num_fds) == 0)
		drop_fds(&x);
}

/* The options that go to the daemon, and what it says of them. */
static int options_to_daemon(struct exchange *x, struct option_list *options)
{
	int result = 0;

	if (option_present(options, NETMAP_REQ_OPT_EXTMEM))
		result = extmem_prepare(&options->extmem, &x->request);
	if (result < 0)
		option_set_status(options, NETMAP_REQ_OPT_EXTMEM, -result);
	if (option_present(options, NETMAP_REQ_OPT_OFFSETS)) {
		x->request.options.present |= PTNET_LOCAL_OPT_OFFSETS;
		x->request.options.offsets = options->offsets;
	}
	return result;
}

static void options_from_daemon(const struct exchange *x, struct option_list *options)
{
	const struct ptnet_local_options *answer = &x->reply.options;

	if ((x->request.options.present & PTNET_LOCAL_OPT_EXTMEM) != 0)
		option_set_status(options, NETMAP_REQ_OPT_EXTMEM, (int)answer->extmem_status);
	else if (option_present(options, NETMAP_REQ_OPT_EXTMEM))
		option_set_status(options, NETMAP_REQ_OPT_EXTMEM, 0);
	if (option_present(options, NETMAP_REQ_OPT_OFFSETS)) {
		option_set_status(options, NETMAP_REQ_OPT_OFFSETS, (int)answer->offsets_status);
		if (answer->offsets_status == 0)
			options->offsets = answer->offsets;
	}
}

/* What the shim adds once the daemon has bound the descriptor. */
static int complete(struct description *d, const struct exchange *x, struct option_list *options)
{
	bool made = (x->request.options.present & PTNET_LOCAL_OPT_EXTMEM) != 0;
	int result = 0;

	if (option_present(options, NETMAP_REQ_OPT_CSB)) {
		result = csb_enable(d, &options->csb);
		option_set_status(options, NETMAP_REQ_OPT_CSB, -result);
	}
	if (result == 0 && options_left(options))
		result = -EOPNOTSUPP;
	/* Last, because the program's pages cannot be brought back. */
	if (result == 0 && option_present(options, NETMAP_REQ_OPT_EXTMEM)) {
		result = extmem_map(d, &options->extmem, made ? &x->reply.options.extmem : NULL);
		option_set_status(options, NETMAP_REQ_OPT_EXTMEM, -result);
	}
	return result;
}

static int complete_register(struct description *d, struct exchange *x, struct option_list *options)
{
	int result;

	if (x->reply.bound != 1)
		return -EIO;
	result = description_prepare(d, &x->reply.binding, x->fds, x->num_fds);
	x->num_fds = 0;
	if (result < 0)
		return result;
	result = complete(d, x, options);
	if (result == 0)
		description_publish(d);
	else
		description_unprepare(d);
	return result;
}

static int do_register(struct description *d, int fd, struct request *request,
		       struct option_list *options)
{
	struct exchange x = {.num_fds = 0};
	int result;

	/* The daemon says so too; but nothing of ours must be touched first. */
	if (description_bound(d))
		return -EBUSY;
	exchange_fill(&x, request);
	result = options_to_daemon(&x, options);
	if (result < 0)
		return result;
	result = exchange_run(&x, d, fd);
	options_from_daemon(&x, options);
	if (result == 0) {
		result = complete_register(d, &x, options);
		if (result < 0)
			undo_register(d, fd);
		else
			request->body.common = x.reply.body;
	} else if (x.reply.bound == 1) {
		/* The daemon has done it, but we had no room for its descriptors. */
		undo_register(d, fd);
	}
	drop_fds(&x);
	return result;
}

/* ---- what the shim does alone ---- */

static int do_csb_enable(struct description *d, int fd, struct option_list *options)
{
	int result;

	if (!option_present(options, NETMAP_REQ_OPT_CSB))
		return -EINVAL;
	result = description_join(d, fd);
	if (result == 0)
		result = csb_enable(d, &options->csb);
	else if (result == -ENXIO)
		result = 0; /* no ring is bound: there is nothing to do */
	option_set_status(options, NETMAP_REQ_OPT_CSB, -result);
	return result;
}

static int dispatch(struct description *d, int fd, struct request *request,
		    struct option_list *options)
{
	int result;

	switch (request->type) {
	case NETMAP_REQ_REGISTER:
		pthread_mutex_lock(&d->request_lock);
		result = do_register(d, fd, request, options);
		pthread_mutex_unlock(&d->request_lock);
		return result;
	case NETMAP_REQ_CSB_ENABLE:
		return do_csb_enable(d, fd, options);
	case NETMAP_REQ_SYNC_KLOOP_START:
		return kloop_start(d, fd, &request->body.kloop_start, options);
	case NETMAP_REQ_SYNC_KLOOP_STOP:
		return kloop_stop(d, fd);
	case NETMAP_REQ_PORT_INFO_GET:
	case NETMAP_REQ_VALE_ATTACH:
	case NETMAP_REQ_VALE_DETACH:
	case NETMAP_REQ_VALE_LIST:
	case NETMAP_REQ_PORT_HDR_SET:
	case NETMAP_REQ_PORT_HDR_GET:
	case NETMAP_REQ_VALE_NEWIF:
	case NETMAP_REQ_VALE_DELIF:
	case NETMAP_REQ_VALE_POLLING_ENABLE:
	case NETMAP_REQ_VALE_POLLING_DISABLE:
	case NETMAP_REQ_POOLS_INFO_GET:
		return carry_out(d, fd, request);
	default:
		return -EINVAL;
	}
}

/* ---- NIOCCTRL ---- */

static int check_header(const struct nmreq_header *header)
{
	if (header->nr_version < NETMAP_MIN_API || header->nr_version > NETMAP_MAX_API)
		return -EINVAL;
	if (header->nr_reserved != 0)
		return -EINVAL;
	if ((ptnet_body_size(header->nr_reqtype) != 0) != (header->nr_body != 0))
		return -EINVAL;
	return 0;
}

static int control(struct description *d, int fd, struct nmreq_header *header)
{
	size_t size = ptnet_body_size(header->nr_reqtype);
	struct option_list options;
	struct request request;
	int result = check_header(header), written;

	if (result < 0)
		return result;
	memset(&request, 0, sizeof(request));
	request.type = header->nr_reqtype;
	memcpy(request.name, header->nr_name, sizeof(request.name));
	if (program_read(&request.body, header->nr_body, size) < 0)
		return -EFAULT;
	result = options_read(&options, header->nr_options, size);
	if (result == 0)
		result = dispatch(d, fd, &request, &options);
	written = options_write(&options, result == 0);
	if (result < 0)
		return result;
	if (header->nr_reqtype == NETMAP_REQ_VALE_LIST)
		memcpy(header->nr_name, request.name, sizeof(header->nr_name));
	if (written < 0 || program_write(header->nr_body, &request.body, size) < 0)
		return -EFAULT;
	return 0;
}

int request_control(struct description *d, int fd, uint64_t argument)
{
	struct nmreq_header header;
	int result;

	if (argument == 0)
		return -EINVAL;
	if (program_read(&header, argument, sizeof(header)) < 0)
		return -EFAULT;
	header.nr_name[sizeof(header.nr_name) - 1] = '\0';
	result = control(d, fd, &header);
	header.nr_reserved = 0;
	/* After an error, too. */
	if (program_write(argument, &header, sizeof(header)) < 0 && result == 0)
		result = -EFAULT;
	return result;
}

/* ---- NIOCREGIF, NIOCGINFO ---- */

int request_legacy(struct description *d, int fd, uint64_t argument, int register_ioctl)
{
	struct option_list options;
	struct request request;
	struct nmreq old;
	int result;

	if (argument == 0)
		return -EINVAL;
	if (program_read(&old, argument, sizeof(old)) < 0)
		return -EFAULT;
	old.nr_name[sizeof(old.nr_name) - 1] = '\0';
	options_none(&options);
	result = legacy_to_request(&old, register_ioctl != 0, &request);
	if (result == 0)
		result = dispatch(d, fd, &request, &options);
	if (result == 0)
		legacy_from_request(&request, &old);
	if (program_write(argument, &old, sizeof(old)) < 0 && result == 0)
		result = -EFAULT;
	return result;
}
