/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/vale.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "port/vale_private.h"
#include "port/vnet_header.h"

uint32_t vale_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec;
}

static bool vale_name_valid(const char *name)
{
	size_t length = strnlen(name, VALE_NAME_SIZE);

	if (length == VALE_NAME_SIZE || strncmp(name, NM_BDG_NAME, 4) != 0)
		return false;
	for (const char *c = name; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && *c != '_')
			return false;
	return true;
}

int vale_create(struct vale **out, const struct vale_config *config, struct error *error)
{
	if (!vale_name_valid(config->name))
		return error_set(
			error, EINVAL,
			"switch name '%.*s': must be 'vale' followed by letters, digits or "
			"'_', at most %d characters",
			VALE_NAME_SIZE, config->name, VALE_NAME_SIZE - 1);
	struct vale *vale = aligned_alloc(64, (sizeof(*vale) + 63) / 64 * 64);
	if (vale == NULL)
		return error_set(error, ENOMEM, "out of memory");
	memset(vale, 0, sizeof(*vale));
	memcpy(vale->name, config->name, sizeof(vale->name));
	mac_table_init(&vale->macs,
		       config->ageing_s != 0 ? config->ageing_s : VALE_DEFAULT_AGEING_S,
		       config->mac_limit != 0 ? config->mac_limit : VALE_DEFAULT_MAC_LIMIT);
	*out = vale;
	return 0;
}

int vale_destroy(struct vale *vale, struct error *error)
{
	if (vale->num_ports > 0)
		return error_set(error, EBUSY, "switch %s still has %u port%s; delete them first",
				 vale->name, vale->num_ports, vale->num_ports == 1 ? "" : "s");
	mac_table_fini(&vale->macs);
	free(vale);
	return 0;
}

const char *vale_name(const struct vale *vale)
{
	return vale->name;
}

unsigned vale_num_ports(const struct vale *vale)
{
	return vale->num_ports;
}

uint32_t vale_ageing_s(const struct vale *vale)
{
	return vale->macs.ageing_s;
}

struct port *vale_port(const struct vale *vale, unsigned index)
{
	return index < VALE_MAX_PORTS ? atomic_load(&vale->ports[index]) : NULL;
}

unsigned vale_port_index(const struct port *port)
{
	return vale_port_of(port)->index;
}

unsigned vale_macs(struct vale *vale, struct vale_mac *macs, unsigned capacity)
{
	uint32_t now = vale_now_s();
	unsigned count = 0;

	for (unsigned i = 0; i < MAC_TABLE_BUCKETS * MAC_TABLE_WAYS; i++) {
		struct mac_entry *entry =
			&vale->macs.buckets[i / MAC_TABLE_WAYS].ways[i % MAC_TABLE_WAYS];
		uint64_t word = atomic_load_explicit(&entry->word, memory_order_relaxed);
		uint32_t age = mac_entry_age(entry, now);

		if (word == 0 || age > vale->macs.ageing_s)
			continue;
		if (count < capacity) {
			for (int b = 0; b < 6; b++)
				macs[count].mac[b] = (uint8_t)(word >> (56 - 8 * b));
			macs[count].port_index = (uint8_t)((word & 0xffff) - 1);
			macs[count].age_s = age;
		}
		count++;
	}
	return count;
}

static bool vale_pending(struct kring *tx)
{
	/* cur too: a bad one is to be found even while kicks are suppressed. */
	return kring_peek_head(tx) != tx->hwcur || PTNET_LOAD_RELAXED(&tx->atok->cur) != tx->cur;
}

static bool vale_enable_kicks(struct kring *tx)
{
	kring_set_need_kick(tx, true);
	kring_full_barrier();
	if (!vale_pending(tx)) {
		ring_count(&tx->counters, RING_KICKS_ENABLED, 1);
		return false;
	}
	kring_set_need_kick(tx, false);
	return true;
}

/*
 * A receiver's kick says that it released slots or waits for packets: senders
 * read its head themselves before they find its ring full, so nothing is to do but
 * to say that no kick is needed.
 */
static void vale_kicked(struct kring *kring)
{
	if (kring->dir == KRING_TX) {
		kring_wake(kring);
		return;
	}
	pthread_mutex_lock(&kring->lock);
	if (kring->state == KRING_RUNNING)
		kring_set_need_kick(kring, false);
	pthread_mutex_unlock(&kring->lock);
}

static void vale_reset_ring(struct kring *kring)
{
	pthread_mutex_lock(&kring->lock);
	port_rewind_ring(kring);
	pthread_mutex_unlock(&kring->lock);
}

/* Whoever comes next has other addresses. */
static void vale_reset(struct port *port)
{
	struct vale_port *self = vale_port_of(port);

	if (atomic_load(&self->attached))
		mac_table_flush_port(&self->vale->macs, self->index);
	for (unsigned i = 0; i < port_num_rings(port); i++)
		vale_reset_ring(&port->rings[i]);
}

void vale_port_unpublish(struct port *port)
{
	struct vale_port *self = vale_port_of(port);
	struct vale *vale = self->vale;
	unsigned end;

	/* Called twice; in between the index may have got a new port. */
	if (!atomic_load(&self->attached))
		return;
	atomic_store(&self->attached, false);
	atomic_store(&vale->ports[self->index], NULL);
	for (end = VALE_MAX_PORTS; end > 0 && atomic_load(&vale->ports[end - 1]) == NULL;)
		end--;
	atomic_store(&vale->ports_end, end);
}

void vale_port_forget(struct port *port)
{
	struct vale_port *self = vale_port_of(port);

	if (self->vale == NULL)
		return;
	mac_table_flush_port(&self->vale->macs, self->index);
	self->vale->num_ports--;
	self->vale = NULL;
}

/* On no switch there is nobody to hear what is sent (2.8). */
static enum port_work discard(struct kring *tx)
{
	uint64_t packets = 0;

	if (!kring_pull(tx))
		return PORT_STOPPED;
	if (tx->head == tx->hwcur)
		return PORT_DRY;
	kring_set_need_kick(tx, false);
	for (uint32_t index = tx->hwcur; index != tx->head;
	     index = ring_next(tx->num_slots, index)) {
		struct netmap_slot slot = kring_load_slot(tx, index);

		kring_clear_buf_changed(tx, index, slot);
		packets += (slot.flags & NS_MOREFRAG) == 0;
	}
	ring_count(&tx->counters, RING_DROP_NO_DESTINATION, packets);
	tx->hwcur = tx->head;
	tx->hwtail = ring_prev(tx->num_slots, tx->hwcur);
	kring_push(tx);
	return PORT_DRY;
}

static enum port_work vale_port_run(struct kring *tx, unsigned budget)
{
	const struct vale_port *self = vale_port_of(tx->port);

	/* Pairs with vale_port_attach(). */
	return atomic_load_explicit(&self->attached, memory_order_acquire) ? vale_run(tx, budget)
									   : discard(tx);
}

static const struct port_ops vale_ops = {
	.type = "vale",
	.run = vale_port_run,
	.pending = vale_pending,
	.enable_kicks = vale_enable_kicks,
	.kicked = vale_kicked,
	.reset = vale_reset,
	.reset_ring = vale_reset_ring,
	.unpublish = vale_port_unpublish,
	.detach = vale_port_forget,
};

/* What a port is called on its switch. */
static const char *name_on_switch(const char *name)
{
	const char *colon = strchr(name, ':');

	return colon != NULL ? colon + 1 : name;
}

int vale_port_set_vnet_hdr(struct port *port, uint32_t len)
{
	if (!vnet_header_len_valid(len))
		return -EINVAL;
	if (port->ops != &vale_ops)
		return -ENXIO;
	if (!port_claim(port, PORT_OWNER_PROCESSES))
		return -EBUSY;
	if (len > 0)
		port->mfs = region_geometry(port->region)->buf_pool.objsize;
	port->vnet_hdr_len = len;
	port_release(port, PORT_OWNER_PROCESSES);
	return 0;
}

static int index_find(const struct vale *vale, const char *name, struct error *error)
{
	int found = -1;

	for (int i = 0; i < VALE_MAX_PORTS; i++) {
		struct port *port = atomic_load(&vale->ports[i]);

		if (port == NULL) {
			if (found < 0)
				found = i;
		} else if (strcmp(name_on_switch(port->name), name_on_switch(name)) == 0) {
			return error_set(error, EEXIST, "port %s exists already", name);
		}
	}
	if (found < 0)
		return error_set(error, ENOSPC, "switch %s is full: it has %d ports", vale->name,
				 VALE_MAX_PORTS);
	return found;
}

static void publish(struct port *port, struct vale *vale, unsigned index)
{
	struct vale_port *self = vale_port_of(port);

	self->vale = vale;
	self->index = index;
	vale->num_ports++;
	atomic_store(&self->attached, true);
	atomic_store(&vale->ports[index], port);
	if (index >= atomic_load(&vale->ports_end))
		atomic_store(&vale->ports_end, index + 1);
}

struct vale *vale_port_switch(const struct port *port)
{
	return vale_port_of(port)->vale;
}

int vale_port_attach(struct port *port, struct vale *vale, struct error *error)
{
	const struct vale_port *self = vale_port_of(port);

	if (self->vale != NULL)
		return error_set(error, EBUSY, "port %s is on switch %s already", port->name,
				 self->vale->name);
	int index = index_find(vale, port->name, error);
	if (index >= 0)
		publish(port, vale, (unsigned)index);
	return index;
}

int vale_port_create(struct port **out, struct vale *vale, const struct port_config *config,
		     struct region *region, struct error *error)
{
	int index = vale != NULL ? index_find(vale, config->name, error) : 0;
	if (index < 0)
		return index;
	struct port *port = calloc(1, sizeof(*port));
	struct vale_port *self = calloc(1, sizeof(*self));
	int result = -ENOMEM;

	if (port == NULL || self == NULL) {
		error_set(error, ENOMEM, "out of memory");
		goto fail_free;
	}
	result = port_init(port, &vale_ops, config, region, error);
	if (result < 0)
		goto fail_free;
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		result = port_alloc_buffers(&port->rings[i], error);
		if (result < 0)
			goto fail_fini;
	}
	port->type_private = self;
	if (vale != NULL)
		publish(port, vale, (unsigned)index);
	*out = port;
	return 0;

fail_fini:
	port_fini(port);
fail_free:
	free(self);
	free(port);
	return result;
}
