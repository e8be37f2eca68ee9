// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * /dev/netmap: open, ioctl, mmap, poll and close (spec/netmap-api.md sections 4.1
 * and 8 to 10). Requests are in netmap_ctrl.c.
 *
 * The binding belongs to the open file description. It is made once, by REGISTER,
 * and undone when the last descriptor and the last mapping are gone; every other
 * operation only reads it, so none needs the file's lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "ptnet.h"

static struct ptnet_binding *ptnet_file_binding(const struct file *file)
{
	struct ptnet_file *f = file->private_data;

	return smp_load_acquire(&f->binding); /* pairs with REGISTER's release */
}

static bool ptnet_binding_dead(const struct ptnet_binding *binding)
{
	return READ_ONCE(binding->port->epoch) != binding->epoch;
}

static struct ptnet_ring *ptnet_binding_ring(const struct ptnet_binding *binding,
					     enum ptnet_ring_dir dir, unsigned int i)
{
	return &binding->port->rings[dir][binding->first[dir] + i];
}

static int ptnet_netmap_open(struct inode *inode, struct file *file)
{
	struct ptnet_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	mutex_init(&f->lock);
	file->private_data = f;
	return 0;
}

static int ptnet_netmap_close(struct inode *inode, struct file *file)
{
	struct ptnet_file *f = file->private_data;

	if (f->binding) {
		/* No mapping is left, and the region's inode may go now. */
		file->f_mapping = inode->i_mapping;
		ptnet_port_unbind(f->binding);
		kfree(f->binding);
	}
	kfree(f);
	return 0;
}

static int ptnet_netmap_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ptnet_binding *binding = ptnet_file_binding(file);

	if (!binding)
		return -EINVAL;
	return ptnet_memdev_mmap(binding->memdev, vma);
}

/* ---- NIOCTXSYNC, NIOCRXSYNC ---- */

static long ptnet_netmap_sync_all(struct file *file, enum ptnet_ring_dir dir)
{
	struct ptnet_binding *binding = ptnet_file_binding(file);
	unsigned int i;
	int ret;

	if (!binding)
		return -ENXIO;
	if (ptnet_binding_dead(binding))
		return -EIO;
	for (i = 0; i < binding->count[dir]; i++) {
		struct ptnet_ring *ring = ptnet_binding_ring(binding, dir, i);

		if (dir == PTNET_TX)
			ret = ptnet_netmap_txsync(ring, binding->epoch, PTNET_SYNC_FORCE);
		else
			ret = ptnet_netmap_rxsync(ring, binding->epoch, PTNET_SYNC_FORCE);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static long ptnet_netmap_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *argp = (void __user *)arg;

	switch (cmd) {
	case NIOCTXSYNC:
		return ptnet_netmap_sync_all(file, PTNET_TX);
	case NIOCRXSYNC:
		return ptnet_netmap_sync_all(file, PTNET_RX);
	case NIOCCTRL:
		return argp ? ptnet_ctrl(file, argp) : -EINVAL;
	case NIOCREGIF:
	case NIOCGINFO:
		return argp ? ptnet_ctrl_legacy(file, cmd, argp) : -EINVAL;
	case NIOCCONFIG:
		return -EINVAL; /* there is no switch module to be configured */
	default:
		return -EOPNOTSUPP;
	}
}

/* ---- poll ---- */

/* All rings: the port's queue. One ring: its own, so that others do not wake us. */
static void ptnet_netmap_poll_wait(struct file *file, struct ptnet_binding *binding,
				   poll_table *table)
{
	struct ptnet_port *port = binding->port;
	enum ptnet_ring_dir dir;

	for (dir = PTNET_TX; dir < PTNET_DIRS; dir++) {
		if (binding->count[dir] == 1)
			poll_wait(file, &ptnet_binding_ring(binding, dir, 0)->wait, table);
		else
			poll_wait(file, &port->wait[dir], table);
	}
}

/* One pass over the TX rings: flushes them; with wanted, looks for room. */
static __poll_t ptnet_netmap_poll_tx(struct ptnet_binding *binding, bool wanted, unsigned int flags)
{
	__poll_t found = 0;
	unsigned int i;
	int ret;

	for (i = 0; i < binding->count[PTNET_TX]; i++) {
		struct ptnet_ring *ring = ptnet_binding_ring(binding, PTNET_TX, i);

		/* Once satisfied, the others are only flushed. */
		if (wanted && !(found & EPOLLOUT))
			ret = ptnet_netmap_txsync(ring, binding->epoch, flags);
		else
			ret = ptnet_netmap_txsync(ring, binding->epoch, PTNET_SYNC_IF_MOVED);
		if (ret < 0 || ret & PTNET_SYNC_RESET)
			found |= EPOLLERR;
		else if (wanted && ret & PTNET_SYNC_READY)
			found |= EPOLLOUT | EPOLLWRNORM;
	}
	return found;
}

static __poll_t ptnet_netmap_poll_rx(struct ptnet_binding *binding, unsigned int flags)
{
	__poll_t found = 0;
	unsigned int i;
	int ret;

	for (i = 0; i < binding->count[PTNET_RX]; i++) {
		struct ptnet_ring *ring = ptnet_binding_ring(binding, PTNET_RX, i);

		ret = ptnet_netmap_rxsync(ring, binding->epoch, flags);
		if (ret < 0 || ret & PTNET_SYNC_RESET)
			found |= EPOLLERR;
		if (ret > 0 && ret & PTNET_SYNC_READY)
			found |= EPOLLIN | EPOLLRDNORM;
	}
	return found;
}

/*
 * Not only asks but works: poll(POLLIN) alone sends what is pending, programs rely
 * on it. The rings are armed in a second pass, when the first found nothing.
 */
static __poll_t ptnet_netmap_poll(struct file *file, poll_table *table)
{
	struct ptnet_binding *binding = ptnet_file_binding(file);
	__poll_t wanted = poll_requested_events(table);
	bool want_tx = wanted & (EPOLLOUT | EPOLLWRNORM);
	bool want_rx = wanted & (EPOLLIN | EPOLLRDNORM);
	bool flush = want_tx || !(binding && binding->flags & NR_NO_TX_POLL);
	__poll_t found = 0;

	if (!binding)
		return EPOLLERR;
	/* Register before looking: whatever happens after the look wakes us. */
	ptnet_netmap_poll_wait(file, binding, table);
	if (ptnet_binding_dead(binding))
		return EPOLLERR;

	if (flush)
		found |= ptnet_netmap_poll_tx(binding, want_tx, 0);
	if (want_rx)
		found |= ptnet_netmap_poll_rx(binding, 0);
	if (found)
		return found;
	if (want_tx)
		found |= ptnet_netmap_poll_tx(binding, true, PTNET_SYNC_ARM);
	if (want_rx)
		found |= ptnet_netmap_poll_rx(binding, PTNET_SYNC_ARM);
	return found;
}

static const struct file_operations ptnet_netmap_fops = {
	.owner = THIS_MODULE,
	.open = ptnet_netmap_open,
	.release = ptnet_netmap_close,
	.unlocked_ioctl = ptnet_netmap_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = ptnet_netmap_mmap,
	.get_unmapped_area = ptnet_get_unmapped_area,
	.poll = ptnet_netmap_poll,
	.llseek = noop_llseek,
};

static struct miscdevice ptnet_netmap_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "netmap",
	.fops = &ptnet_netmap_fops,
	.mode = 0600,
};

int ptnet_netmap_dev_init(void)
{
	int err = misc_register(&ptnet_netmap_misc);

	if (err)
		pr_err("cannot make %s, error %d; is netmap's own module loaded?\n",
		       NETMAP_DEVICE_NAME, err);
	return err;
}

void ptnet_netmap_dev_exit(void)
{
	misc_deregister(&ptnet_netmap_misc);
}
