/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/mac_table.h"

#include <string.h>
#include <sys/random.h>

void mac_table_init(struct mac_table *table, uint32_t ageing_s, uint32_t limit)
{
	memset(table, 0, sizeof(*table));
	pthread_mutex_init(&table->insert_lock, NULL);
	table->ageing_s = ageing_s;
	table->limit = limit;
	if (getrandom(&table->key, sizeof(table->key), 0) != sizeof(table->key))
		table->key = (uintptr_t)table * UINT64_C(0x9e3779b97f4a7c15);
	table->key |= 1;
}

void mac_table_fini(struct mac_table *table)
{
	pthread_mutex_destroy(&table->insert_lock);
}

static void entry_set(struct mac_table *table, struct mac_entry *entry, uint64_t mac, unsigned port,
		      uint32_t now_s)
{
	uint64_t old = atomic_load_explicit(&entry->word, memory_order_relaxed);

	if (old != 0)
		table->per_port[(old & 0xffff) - 1]--;
	table->per_port[port]++;
	atomic_store_explicit(&entry->seen_s, now_s, memory_order_relaxed);
	atomic_store_explicit(&entry->word, mac << 16 | (port + 1), memory_order_relaxed);
}

static void entry_clear(struct mac_table *table, struct mac_entry *entry)
{
	uint64_t old = atomic_load_explicit(&entry->word, memory_order_relaxed);

	if (old == 0)
		return;
	table->per_port[(old & 0xffff) - 1]--;
	atomic_store_explicit(&entry->word, 0, memory_order_relaxed);
}

/*
 * Throws aged entries out, so that they don't count towards their ports' limits.
 * At most once a second: a port at its limit asks for it with every new address.
 */
static void table_sweep(struct mac_table *table, uint32_t now_s)
{
	if (now_s <= table->swept_s)
		return;
	table->swept_s = now_s;
	for (unsigned b = 0; b < MAC_TABLE_BUCKETS; b++) {
		for (unsigned way = 0; way < MAC_TABLE_WAYS; way++) {
			struct mac_entry *entry = &table->buckets[b].ways[way];

			if (mac_entry_age(entry, now_s) > table->ageing_s)
				entry_clear(table, entry);
		}
	}
}

/*
 * The entry that @mac may take: its own, an empty or aged one, else the oldest of the
 * port's own. A port at its limit may only replace one of its own.
 */
static struct mac_entry *entry_choose(struct mac_table *table, uint64_t mac, unsigned port,
				      uint32_t now_s)
{
	struct mac_bucket *bucket = mac_table_bucket(table, mac);
	bool at_limit = table->per_port[port] >= table->limit;
	struct mac_entry *best = NULL;
	uint32_t best_age = 0;

	for (unsigned way = 0; way < MAC_TABLE_WAYS; way++) {
		struct mac_entry *entry = &bucket->ways[way];
		uint64_t word = atomic_load_explicit(&entry->word, memory_order_relaxed);
		bool ours = word != 0 && (word & 0xffff) == port + 1;
		uint32_t age = mac_entry_age(entry, now_s);

		if (word != 0 && word >> 16 == mac)
			return ours || !at_limit ? entry : NULL;
		if (!ours && (at_limit || (word != 0 && age <= table->ageing_s)))
			continue;
		if (word == 0)
			age = UINT32_MAX;
		if (best == NULL || age > best_age) {
			best = entry;
			best_age = age;
		}
	}
	return best;
}

void mac_table_insert(struct mac_table *table, uint64_t mac, unsigned port, uint32_t now_s)
{
	/* Somebody else is inserting: the next packet will learn this address. */
	if (pthread_mutex_trylock(&table->insert_lock) != 0)
		return;
	if (table->per_port[port] >= table->limit)
		table_sweep(table, now_s);
	struct mac_entry *entry = entry_choose(table, mac, port, now_s);
	if (entry != NULL)
		entry_set(table, entry, mac, port, now_s);
	pthread_mutex_unlock(&table->insert_lock);
}

void mac_table_flush_port(struct mac_table *table, unsigned port)
{
	pthread_mutex_lock(&table->insert_lock);
	for (unsigned b = 0; b < MAC_TABLE_BUCKETS; b++) {
		for (unsigned way = 0; way < MAC_TABLE_WAYS; way++) {
			struct mac_entry *entry = &table->buckets[b].ways[way];
			uint64_t word = atomic_load_explicit(&entry->word, memory_order_relaxed);

			if ((word & 0xffff) == port + 1)
				entry_clear(table, entry);
		}
	}
	pthread_mutex_unlock(&table->insert_lock);
}
