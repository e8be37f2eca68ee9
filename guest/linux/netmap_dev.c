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

/* Where the binding's users wait. All rings: the port's queue. One: its own, so that others do not
 * wake us. */
static wait_queue_head_t *ptnet_binding_wait(const struct ptnet_binding *binding,
					     enum ptnet_ring_dir dir)
{
	if (binding->count[dir] == 1)
		return &ptnet_binding_ring(binding, dir, 0)->wait;
	return &binding->port->wait[dir];
}

/* ---- wake-ups for who waited before there was anything to wait for ---- */

static int ptnet_file_relay_wake(wait_queue_entry_t *entry, unsigned int mode, int sync, void *key)
{
	struct ptnet_file *f = entry->private;

	wake_up_interruptible_poll(&f->wait, key_to_poll(key));
	return 1;
}

/*
 * epoll tells us only once where it may wait, when the descriptor is added to it. If that
 * was before REGISTER it waits at the file, and what the rings have to say is passed on
 * to there. Called once, after the binding was made known, under f->lock.
 */
void ptnet_file_relay(struct ptnet_file *f)
{
	enum ptnet_ring_dir dir;

	/* The barrier in here pairs with the one in poll: it sees the binding, or we see it. */
	if (!wq_has_sleeper(&f->wait))
		return;
	for (dir = PTNET_TX; dir < PTNET_DIRS; dir++) {
		init_waitqueue_func_entry(&f->relay[dir], ptnet_file_relay_wake);
		f->relay[dir].private = f;
		add_wait_queue(ptnet_binding_wait(f->binding, dir), &f->relay[dir]);
	}
	f->relayed = true;
	/* They are to look again, at the rings this time. */
	wake_up_interruptible_poll(&f->wait, EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM);
}

static void ptnet_file_end_relay(struct ptnet_file *f)
{
	enum ptnet_ring_dir dir;

	if (!f->relayed)
		return;
	for (dir = PTNET_TX; dir < PTNET_DIRS; dir++)
		remove_wait_queue(ptnet_binding_wait(f->binding, dir), &f->relay[dir]);
}

/* ---- open, close, mmap ---- */

static int ptnet_netmap_open(struct inode *inode, struct file *file)
{
	struct ptnet_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	mutex_init(&f->lock);
	init_waitqueue_head(&f->wait);
	file->private_data = f;
	file->f_mapping = ptnet_memdev_mapping();
	return 0;
}

static int ptnet_netmap_close(struct inode *inode, struct file *file)
{
	struct ptnet_file *f = file->private_data;

	if (f->binding) {
		ptnet_file_end_relay(f);
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

/* A ring that is stopped does not keep the others from being synced. */
static long ptnet_netmap_sync_all(struct file *file, enum ptnet_ring_dir dir)
{
	struct ptnet_binding *binding = ptnet_file_binding(file);
	unsigned int i;
	int ret, err = 0;

	if (!binding)
		return -ENXIO;
	if (ptnet_binding_dead(binding))
		return -EIO;
	for (i = 0; i < binding->count[dir]; i++) {
		ret = ptnet_netmap_sync(ptnet_binding_ring(binding, dir, i), binding->epoch,
					PTNET_SYNC_FORCE);
		if (ret < 0)
			err = ret;
	}
	return err;
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
			ret = ptnet_netmap_sync(ring, binding->epoch, flags);
		else
			ret = ptnet_netmap_sync(ring, binding->epoch, PTNET_SYNC_IF_MOVED);
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

		ret = ptnet_netmap_sync(ring, binding->epoch, flags);
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
	struct ptnet_file *f = file->private_data;
	__poll_t wanted = poll_requested_events(table);
	bool want_tx = wanted & (EPOLLOUT | EPOLLWRNORM);
	bool want_rx = wanted & (EPOLLIN | EPOLLRDNORM);
	__poll_t found = 0;

	/* Register before looking: whatever happens after the look wakes us. */
	if (!binding) {
		poll_wait(file, &f->wait, table);
		smp_mb(); /* see ptnet_file_relay() */
		binding = ptnet_file_binding(file);
		if (!binding)
			return EPOLLERR;
	}
	poll_wait(file, ptnet_binding_wait(binding, PTNET_TX), table);
	poll_wait(file, ptnet_binding_wait(binding, PTNET_RX), table);
	if (ptnet_binding_dead(binding))
		return EPOLLERR;

	if (want_tx || !(binding->flags & NR_NO_TX_POLL))
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
