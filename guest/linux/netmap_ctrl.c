// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Requests on /dev/netmap: NIOCCTRL with its options, and the older NIOCREGIF and
 * NIOCGINFO (spec/netmap-api.md sections 5 and 6).
 *
 * There are only the ports of this machine's ptnet interfaces, whose memory and
 * rings are the host's. So nothing can be allocated here: no extra buffers, null
 * ports, pipes, monitors, switches, and no option is understood. What programs are told
 * in each case is what the interface's specification has for it.
 */
#include <linux/fs.h>
#include <linux/nsproxy.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "ptnet.h"
#include <ptnet/requests.h>

/* The body of a request in the kernel's memory. */
union ptnet_body {
	struct nmreq_register reg;
	struct nmreq_port_info_get port_info;
	struct nmreq_vale_attach vale_attach;
	struct nmreq_vale_detach vale_detach;
	struct nmreq_vale_list vale_list;
	struct nmreq_port_hdr port_hdr;
	struct nmreq_vale_newif vale_newif;
	struct nmreq_vale_polling vale_polling;
	struct nmreq_pools_info pools_info;
	struct nmreq_sync_kloop_start kloop_start;
};

/* A request after the header, body and options were copied and found well-formed. */
struct ptnet_request {
	struct file *file;
	u16 type;
	char name[NETMAP_REQ_IFNAMSIZ];
	union ptnet_body body;
	unsigned int known_options; /* bit k: option type k is there */
	bool any_option;
};

/* ---- looking things up ---- */

static bool ptnet_name_is_vale(const char *name)
{
	return !strncmp(name, NM_BDG_NAME, strlen(NM_BDG_NAME));
}

/*
 * The port of that name with a reference, or an ERR_PTR (spec/ports.md section 1):
 * pipes would need objects in the region, switches are the host's.
 */
static struct ptnet_port *ptnet_find_port(const char *name)
{
	struct ptnet_port *port;

	if (strpbrk(name, "{}"))
		return ERR_PTR(-EOPNOTSUPP);
	if (ptnet_name_is_vale(name))
		return ERR_PTR(-ENXIO);
	port = ptnet_netdev_find(current->nsproxy->net_ns, name);
	return port ?: ERR_PTR(-ENXIO);
}

/* 0 stands for any region; others must exist, even though none can be chosen. */
static int ptnet_check_mem_id(u16 id)
{
	struct ptnet_memdev *memdev;

	if (!id)
		return 0;
	memdev = ptnet_memdev_get(id);
	if (!memdev)
		return -EINVAL;
	ptnet_memdev_put(memdev);
	return 0;
}

/* ---- REGISTER ---- */

/* Which rings a mode means; NR_*_RINGS_ONLY leaves out the other direction. */
static int ptnet_request_rings(const struct ptnet_port *port, const struct nmreq_register *reg,
			       struct ptnet_binding *binding)
{
	enum ptnet_ring_dir dir;

	binding->flags = reg->nr_flags;
	switch (reg->nr_mode) {
	case NR_REG_ALL_NIC:
		for (dir = PTNET_TX; dir < PTNET_DIRS; dir++)
			binding->count[dir] = port->num_rings[dir];
		break;
	case NR_REG_ONE_NIC:
		if (reg->nr_ringid >= port->num_rings[PTNET_TX] &&
		    reg->nr_ringid >= port->num_rings[PTNET_RX])
			return -EINVAL;
		for (dir = PTNET_TX; dir < PTNET_DIRS; dir++) {
			binding->count[dir] = 1;
			binding->first[dir] =
				reg->nr_ringid < port->num_rings[dir] ? reg->nr_ringid : 0;
		}
		break;
	default: /* there are no host rings: SW, NIC_SW and ONE_SW are invalid, too */
		return -EINVAL;
	}
	if (reg->nr_flags & NR_TX_RINGS_ONLY)
		binding->count[PTNET_RX] = 0;
	if (reg->nr_flags & NR_RX_RINGS_ONLY)
		binding->count[PTNET_TX] = 0;
	return 0;
}

static int ptnet_check_register(const struct ptnet_request *request)
{
	const struct nmreq_register *reg = &request->body.reg;
	int err;

	err = ptnet_check_mem_id(reg->nr_mem_id);
	if (err)
		return err;
	switch (reg->nr_mode) {
	case NR_REG_PIPE_MASTER:
	case NR_REG_PIPE_SLAVE:
		return -EINVAL;
	case NR_REG_NULL:
		return reg->nr_mem_id ? -ENOMEM : -EINVAL;
	}
	if (reg->nr_flags & (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON))
		return -EOPNOTSUPP;
	return 0;
}

static void ptnet_reply_register(const struct ptnet_binding *binding, struct nmreq_register *reg)
{
	const struct ptnet_port *port = binding->port;

	reg->nr_offset = binding->nifp_ofs;
	reg->nr_memsize = binding->memdev->size;
	reg->nr_tx_slots = binding->num_slots[PTNET_TX];
	reg->nr_rx_slots = binding->num_slots[PTNET_RX];
	reg->nr_tx_rings = port->num_rings[PTNET_TX];
	reg->nr_rx_rings = port->num_rings[PTNET_RX];
	reg->nr_host_tx_rings = 0;
	reg->nr_host_rx_rings = 0;
	reg->nr_mem_id = binding->memdev->id;
	reg->nr_extra_bufs = 0;
}

/* Binds the file to the port; the caller's reference to port goes into the binding. */
static int ptnet_register_port(struct ptnet_request *request, struct ptnet_port *port)
{
	struct nmreq_register *reg = &request->body.reg;
	struct ptnet_file *f = request->file->private_data;
	struct ptnet_binding *binding;
	int err;

	if (port->vnet_hdr_len && !(reg->nr_flags & NR_ACCEPT_VNET_HDR))
		return -EIO;
	binding = kzalloc(sizeof(*binding), GFP_KERNEL_ACCOUNT);
	if (!binding)
		return -ENOMEM;
	binding->port = port;
	err = ptnet_request_rings(port, reg, binding);
	if (!err && request->any_option)
		err = -EOPNOTSUPP;
	if (!err)
		err = ptnet_port_bind(port, binding);
	if (err) {
		kfree(binding);
		return err;
	}
	ptnet_reply_register(binding, reg);
	smp_store_release(&f->binding, binding);
	ptnet_file_relay(f);
	return 0;
}

static int ptnet_register(struct ptnet_request *request)
{
	struct ptnet_file *f = request->file->private_data;
	struct ptnet_port *port;
	int err;

	mutex_lock(&f->lock);
	err = f->binding ? -EBUSY : ptnet_check_register(request);
	if (err)
		goto out;
	port = ptnet_find_port(request->name);
	if (IS_ERR(port)) {
		err = PTR_ERR(port);
		goto out;
	}
	err = ptnet_register_port(request, port);
	if (err)
		ptnet_port_put(port);
out:
	mutex_unlock(&f->lock);
	return err;
}

/* ---- information ---- */

static int ptnet_region_info(struct nmreq_port_info_get *info)
{
	struct ptnet_memdev *memdev = ptnet_memdev_get(info->nr_mem_id ?: 1);

	if (!memdev)
		return -EINVAL;
	info->nr_memsize = memdev->size;
	info->nr_mem_id = memdev->id;
	ptnet_memdev_put(memdev);
	return 0;
}

/* The port and its region, both with a reference, for a request that asks about them. */
static int ptnet_find_both(const char *name, u16 mem_id, struct ptnet_port **port,
			   struct ptnet_memdev **memdev)
{
	int err = ptnet_check_mem_id(mem_id);

	if (err)
		return err;
	*port = ptnet_find_port(name);
	if (IS_ERR(*port))
		return PTR_ERR(*port);
	*memdev = ptnet_memdev_get((*port)->mem_id);
	if (!*memdev) {
		ptnet_port_put(*port);
		return -ENOMEM;
	}
	return 0;
}

static int ptnet_port_info(struct ptnet_request *request)
{
	struct nmreq_port_info_get *info = &request->body.port_info;
	struct ptnet_memdev *memdev;
	struct ptnet_port *port;
	int err;

	if (!request->name[0])
		return ptnet_region_info(info);
	err = ptnet_find_both(request->name, info->nr_mem_id, &port, &memdev);
	if (err)
		return err;
	info->nr_memsize = memdev->size;
	mutex_lock(&port->lock); /* a resume may be reading them anew */
	info->nr_tx_slots = port->num_slots[PTNET_TX];
	info->nr_rx_slots = port->num_slots[PTNET_RX];
	mutex_unlock(&port->lock);
	info->nr_tx_rings = port->num_rings[PTNET_TX];
	info->nr_rx_rings = port->num_rings[PTNET_RX];
	info->nr_host_tx_rings = 0;
	info->nr_host_rx_rings = 0;
	info->nr_mem_id = memdev->id;
	ptnet_memdev_put(memdev);
	ptnet_port_put(port);
	return 0;
}

static int ptnet_pools_info(struct ptnet_request *request)
{
	struct nmreq_pools_info *info = &request->body.pools_info;
	struct ptnet_memdev *memdev;
	struct ptnet_port *port;
	int err;

	err = ptnet_find_both(request->name, info->nr_mem_id, &port, &memdev);
	if (err)
		return err;
	info->nr_memsize = memdev->size;
	info->nr_mem_id = memdev->id;
	info->nr_if_pool_offset = memdev->if_pool.offset;
	info->nr_if_pool_objtotal = memdev->if_pool.objnum;
	info->nr_if_pool_objsize = memdev->if_pool.objsz;
	info->nr_ring_pool_offset = memdev->ring_pool.offset;
	info->nr_ring_pool_objtotal = memdev->ring_pool.objnum;
	info->nr_ring_pool_objsize = memdev->ring_pool.objsz;
	info->nr_buf_pool_offset = memdev->buf_pool.offset;
	info->nr_buf_pool_objtotal = memdev->buf_pool.objnum;
	info->nr_buf_pool_objsize = memdev->buf_pool.objsz;
	ptnet_memdev_put(memdev);
	ptnet_port_put(port);
	return 0;
}

static int ptnet_header_get(struct ptnet_request *request)
{
	struct ptnet_port *port = ptnet_find_port(request->name);

	if (IS_ERR(port))
		return PTR_ERR(port);
	request->body.port_hdr.nr_hdr_len = port->vnet_hdr_len;
	ptnet_port_put(port);
	return 0;
}

/* Only a switch's ports can be set, and there is no switch here. */
static int ptnet_header_set(const struct ptnet_request *request)
{
	u32 len = request->body.port_hdr.nr_hdr_len;

	return len == 0 || len == 10 || len == 12 ? -ENXIO : -EINVAL;
}

/* ---- switches: there are none, section 5.7 to 5.11 says what that means ---- */

static int ptnet_vale(const struct ptnet_request *request)
{
	const char *name = request->name;
	struct ptnet_port *port;

	switch (request->type) {
	case NETMAP_REQ_VALE_ATTACH:
		return ptnet_name_is_vale(name) ? -EOPNOTSUPP : -EINVAL;
	case NETMAP_REQ_VALE_DETACH:
	case NETMAP_REQ_VALE_POLLING_ENABLE:
	case NETMAP_REQ_VALE_POLLING_DISABLE:
		return ptnet_name_is_vale(name) ? -ENXIO : -EINVAL;
	case NETMAP_REQ_VALE_LIST:
		return !name[0] || ptnet_name_is_vale(name) ? -ENOENT : -EINVAL;
	case NETMAP_REQ_VALE_NEWIF:
		if (ptnet_name_is_vale(name) || strlen(name) >= IFNAMSIZ)
			return -EINVAL;
		return -EOPNOTSUPP;
	case NETMAP_REQ_VALE_DELIF:
		port = ptnet_find_port(name);
		if (IS_ERR(port))
			return -ENXIO;
		ptnet_port_put(port);
		return -EINVAL;
	}
	return -EINVAL;
}

/* ---- CSB mode and the kernel's loop: the host has these, the guest does not ---- */

static int ptnet_kloop(const struct ptnet_request *request)
{
	struct ptnet_file *f = request->file->private_data;
	bool bound = smp_load_acquire(&f->binding);

	switch (request->type) {
	case NETMAP_REQ_CSB_ENABLE:
		if (!(request->known_options & 1U << NETMAP_REQ_OPT_CSB))
			return -EINVAL;
		return -EOPNOTSUPP;
	case NETMAP_REQ_SYNC_KLOOP_START:
		if (request->body.kloop_start.sleep_us > USEC_PER_SEC)
			return -EINVAL;
		/* No descriptor is ever in CSB mode. */
		return bound ? -EINVAL : -ENXIO;
	case NETMAP_REQ_SYNC_KLOOP_STOP:
		return bound ? 0 : -ENXIO;
	}
	return -EINVAL;
}

static int ptnet_execute(struct ptnet_request *request)
{
	switch (request->type) {
	case NETMAP_REQ_REGISTER:
		return ptnet_register(request);
	case NETMAP_REQ_PORT_INFO_GET:
		return ptnet_port_info(request);
	case NETMAP_REQ_POOLS_INFO_GET:
		return ptnet_pools_info(request);
	case NETMAP_REQ_PORT_HDR_GET:
		return ptnet_header_get(request);
	case NETMAP_REQ_PORT_HDR_SET:
		return ptnet_header_set(request);
	case NETMAP_REQ_CSB_ENABLE:
	case NETMAP_REQ_SYNC_KLOOP_START:
	case NETMAP_REQ_SYNC_KLOOP_STOP:
		return ptnet_kloop(request);
	default:
		return ptnet_vale(request);
	}
}

/* ---- NIOCCTRL: header, body, options ---- */

static bool ptnet_type_is_known(u16 type)
{
	return type >= NETMAP_REQ_REGISTER && type <= NETMAP_REQ_CSB_ENABLE;
}

/* What an option costs of NETMAP_REQ_MAXSIZE besides its size (section 5.4). */
#define PTNET_OPTION_COST 8
#define PTNET_MAX_OPTIONS (NETMAP_REQ_MAXSIZE / (sizeof(struct nmreq_option) + PTNET_OPTION_COST))

/* As none is understood, an option's place and fate are all that is kept of it. */
struct ptnet_options {
	unsigned int count;
	struct {
		struct nmreq_option __user *uptr;
		u32 type;
		u32 status; /* 0: leave the user's alone */
	} option[PTNET_MAX_OPTIONS];
};

static int ptnet_option_refuse_twin(struct ptnet_options *options, u32 type, unsigned int last)
{
	unsigned int i;

	for (i = 0; i < last; i++)
		if (options->option[i].type == type)
			options->option[i].status = EINVAL;
	options->option[last].status = EINVAL;
	return -EINVAL;
}

/*
 * Walks the user's list. On success every option's status is EOPNOTSUPP. The list
 * may be circular: the limit on the total size ends it, and then nothing is written
 * back.
 */
static int ptnet_copy_options(struct ptnet_request *request, u64 next, size_t body_size,
			      struct ptnet_options *options)
{
	u64 total = body_size, size;
	struct nmreq_option option;
	unsigned int i;

	for (; next; next = option.nro_next) {
		struct nmreq_option __user *uptr = u64_to_user_ptr(next);

		i = options->count;
		total += sizeof(option) + PTNET_OPTION_COST;
		if (total > NETMAP_REQ_MAXSIZE || i == PTNET_MAX_OPTIONS) {
			options->count = 0;
			return -EMSGSIZE;
		}
		if (copy_from_user(&option, uptr, sizeof(option)))
			return -EFAULT;
		options->option[i].uptr = uptr;
		options->option[i].type = option.nro_reqtype;
		options->count++;

		if (!option.nro_reqtype) {
			options->option[i].status = EINVAL;
			return -EINVAL;
		}
		if (option.nro_reqtype >= NETMAP_REQ_OPT_MAX)
			continue;
		if (request->known_options & 1U << option.nro_reqtype)
			return ptnet_option_refuse_twin(options, option.nro_reqtype, i);
		request->known_options |= 1U << option.nro_reqtype;

		size = ptnet_option_size(&option);
		if (size > NETMAP_REQ_MAXSIZE || option.nro_size > NETMAP_REQ_MAXSIZE)
			return -EMSGSIZE;
		total += size - sizeof(option);
		if (total > NETMAP_REQ_MAXSIZE)
			return -EMSGSIZE;
	}
	request->any_option = options->count;
	for (i = 0; i < options->count; i++)
		options->option[i].status = EOPNOTSUPP;
	return 0;
}

static int ptnet_write_back_options(const struct ptnet_options *options)
{
	unsigned int i;

	for (i = 0; i < options->count; i++)
		if (options->option[i].status &&
		    put_user(options->option[i].status, &options->option[i].uptr->nro_status))
			return -EFAULT;
	return 0;
}

/* Steps 1 to 7 of section 5.3. */
static int ptnet_ctrl_request(struct ptnet_request *request, const struct nmreq_header *hdr,
			      struct ptnet_options *options)
{
	size_t body_size = ptnet_body_size(hdr->nr_reqtype);
	void __user *ubody = u64_to_user_ptr(hdr->nr_body);
	int err;

	if (hdr->nr_version < NETMAP_MIN_API || hdr->nr_version > NETMAP_MAX_API)
		return -EINVAL;
	if (hdr->nr_reserved || !body_size != !hdr->nr_body)
		return -EINVAL;
	if (body_size && copy_from_user(&request->body, ubody, body_size))
		return -EFAULT;
	err = ptnet_copy_options(request, hdr->nr_options, body_size, options);
	if (err)
		return err;
	if (!ptnet_type_is_known(hdr->nr_reqtype))
		return -EINVAL;
	err = ptnet_execute(request);
	if (err)
		return err;
	return body_size && copy_to_user(ubody, &request->body, body_size) ? -EFAULT : 0;
}

long ptnet_ctrl(struct file *file, void __user *arg)
{
	struct ptnet_options *options;
	struct ptnet_request *request;
	struct nmreq_header hdr;
	long err = -ENOMEM;

	if (copy_from_user(&hdr, arg, sizeof(hdr)))
		return -EFAULT;
	hdr.nr_name[sizeof(hdr.nr_name) - 1] = '\0';
	request = kzalloc(sizeof(*request), GFP_KERNEL);
	options = kzalloc(sizeof(*options), GFP_KERNEL);
	if (!request || !options)
		goto out;
	request->file = file;
	request->type = hdr.nr_reqtype;
	strscpy(request->name, hdr.nr_name, sizeof(request->name));

	err = ptnet_ctrl_request(request, &hdr, options);

	hdr.nr_reserved = 0;
	if (ptnet_write_back_options(options) || copy_to_user(arg, &hdr, sizeof(hdr)))
		err = -EFAULT;
out:
	kfree(options);
	kfree(request);
	return err;
}

/* ---- NIOCREGIF, NIOCGINFO ---- */

static u32 ptnet_legacy_mode(const struct nmreq *nmr)
{
	u32 mode = nmr->nr_flags & NR_REG_MASK;

	if (mode != NR_REG_DEFAULT)
		return mode;
	if (nmr->nr_ringid & NETMAP_SW_RING)
		return NR_REG_SW;
	return nmr->nr_ringid & NETMAP_HW_RING ? NR_REG_ONE_NIC : NR_REG_ALL_NIC;
}

static int ptnet_legacy_register(struct ptnet_request *request, struct nmreq *nmr)
{
	struct nmreq_register *reg = &request->body.reg;
	int err;

	request->type = NETMAP_REQ_REGISTER;
	reg->nr_mode = ptnet_legacy_mode(nmr);
	/* A pipe of this port, as REGISTER spells it; to be refused there. */
	if (reg->nr_mode == NR_REG_PIPE_MASTER || reg->nr_mode == NR_REG_PIPE_SLAVE) {
		scnprintf(request->name + strlen(request->name),
			  sizeof(request->name) - strlen(request->name), "%c%u",
			  reg->nr_mode == NR_REG_PIPE_MASTER ? '{' : '}',
			  nmr->nr_ringid & NETMAP_RING_MASK);
		reg->nr_mode = NR_REG_ALL_NIC;
	} else {
		reg->nr_ringid = nmr->nr_ringid & NETMAP_RING_MASK;
	}
	reg->nr_flags = nmr->nr_flags & ~(u32)NR_REG_MASK;
	if (nmr->nr_ringid & NETMAP_NO_TX_POLL)
		reg->nr_flags |= NR_NO_TX_POLL;
	if (nmr->nr_ringid & NETMAP_DO_RX_POLL)
		reg->nr_flags |= NR_DO_RX_POLL;
	reg->nr_mem_id = nmr->nr_arg2;
	reg->nr_extra_bufs = nmr->nr_arg3;

	err = ptnet_execute(request);
	if (err)
		return err;
	nmr->nr_offset = reg->nr_offset;
	nmr->nr_memsize = reg->nr_memsize;
	nmr->nr_tx_slots = reg->nr_tx_slots;
	nmr->nr_rx_slots = reg->nr_rx_slots;
	nmr->nr_tx_rings = reg->nr_tx_rings;
	nmr->nr_rx_rings = reg->nr_rx_rings;
	nmr->nr_arg2 = reg->nr_mem_id;
	nmr->nr_arg3 = reg->nr_extra_bufs;
	return 0;
}

static int ptnet_legacy_info(struct ptnet_request *request, struct nmreq *nmr)
{
	struct nmreq_port_info_get *info = &request->body.port_info;
	int err;

	if (nmr->nr_cmd == NETMAP_BDG_LIST) {
		request->type = NETMAP_REQ_VALE_LIST;
		return ptnet_execute(request);
	}
	request->type = NETMAP_REQ_PORT_INFO_GET;
	info->nr_mem_id = nmr->nr_arg2;
	err = ptnet_execute(request);
	if (err)
		return err;
	nmr->nr_memsize = info->nr_memsize;
	nmr->nr_tx_slots = info->nr_tx_slots;
	nmr->nr_rx_slots = info->nr_rx_slots;
	nmr->nr_tx_rings = info->nr_tx_rings;
	nmr->nr_rx_rings = info->nr_rx_rings;
	nmr->nr_arg2 = info->nr_mem_id;
	return 0;
}

/* Commands about switches only have an error to give back, but for the header length. */
static int ptnet_legacy_command(struct ptnet_request *request, struct nmreq *nmr)
{
	int err;

	switch (nmr->nr_cmd) {
	case 0:
		return ptnet_legacy_register(request, nmr);
	case NETMAP_BDG_ATTACH:
		request->type = NETMAP_REQ_VALE_ATTACH;
		break;
	case NETMAP_BDG_DETACH:
		request->type = NETMAP_REQ_VALE_DETACH;
		break;
	case NETMAP_BDG_VNET_HDR:
		request->type = NETMAP_REQ_PORT_HDR_SET;
		request->body.port_hdr.nr_hdr_len = nmr->nr_arg1;
		break;
	case NETMAP_BDG_NEWIF:
		request->type = NETMAP_REQ_VALE_NEWIF;
		break;
	case NETMAP_BDG_DELIF:
		request->type = NETMAP_REQ_VALE_DELIF;
		break;
	case NETMAP_PT_HOST_CREATE:
	case NETMAP_PT_HOST_DELETE:
		return -ENOMEM;
	case NETMAP_BDG_POLLING_ON:
		request->type = NETMAP_REQ_VALE_POLLING_ENABLE;
		break;
	case NETMAP_BDG_POLLING_OFF:
		request->type = NETMAP_REQ_VALE_POLLING_DISABLE;
		break;
	case NETMAP_VNET_HDR_GET:
		request->type = NETMAP_REQ_PORT_HDR_GET;
		err = ptnet_execute(request);
		if (!err)
			nmr->nr_arg1 = request->body.port_hdr.nr_hdr_len;
		return err;
	default:
		return -EINVAL;
	}
	return ptnet_execute(request);
}

long ptnet_ctrl_legacy(struct file *file, unsigned int cmd, void __user *arg)
{
	struct ptnet_request *request;
	struct nmreq nmr;
	long err;

	if (copy_from_user(&nmr, arg, sizeof(nmr)))
		return -EFAULT;
	if (nmr.nr_version < NETMAP_MIN_API)
		return -EINVAL;
	request = kzalloc(sizeof(*request), GFP_KERNEL);
	if (!request)
		return -ENOMEM;
	request->file = file;
	nmr.nr_name[sizeof(nmr.nr_name) - 1] = '\0';
	strscpy(request->name, nmr.nr_name, sizeof(request->name));

	err = cmd == NIOCREGIF ? ptnet_legacy_command(request, &nmr)
			       : ptnet_legacy_info(request, &nmr);
	kfree(request);
	if (!err && copy_to_user(arg, &nmr, sizeof(nmr)))
		err = -EFAULT;
	return err;
}
