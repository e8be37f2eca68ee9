/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A switch's address table: which port a unicast address was last seen on.
 *
 * Four-way buckets. Lookups and refreshes take no lock: an entry is one 64-bit
 * word (address and port) and a time beside it. What changes the set of entries
 * (a new address, a move, a flush) takes the table's mutex; a worker that finds it
 * taken goes without learning for this once.
 *
 * Better than netmap's table, which is direct mapped, never ages, does not notice
 * an address that moved back and lets one port fill all of it: here entries age,
 * every packet's source is compared, and a port may hold @limit addresses. A new
 * address never drives out another port's that has not aged, and the hash is keyed, so no
 * port can make the switch flood what is meant for another.
 */
#ifndef PTNET_PORT_MAC_TABLE_H
#define PTNET_PORT_MAC_TABLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MAC_TABLE_BUCKETS 4096u
#define MAC_TABLE_WAYS	  4u
#define MAC_TABLE_PORTS	  256u

/* No entry: the caller floods. */
#define MAC_TABLE_UNKNOWN 0xffu

struct mac_entry {
	_Atomic uint64_t word;	 /* address << 16 | port index + 1; 0: empty */
	_Atomic uint32_t seen_s; /* when a packet last came from it */
};

struct mac_bucket {
	struct mac_entry ways[MAC_TABLE_WAYS];
} __attribute__((aligned(64)));

struct mac_table {
	struct mac_bucket buckets[MAC_TABLE_BUCKETS];
	pthread_mutex_t insert_lock;
	uint32_t per_port[MAC_TABLE_PORTS]; /* entries held; under insert_lock */
	uint32_t swept_s; /* when aged entries were last thrown out; under insert_lock */
	uint32_t ageing_s;
	uint32_t limit; /* entries per port */
	uint64_t key;	/* random and odd: nobody can aim at a bucket */
};

void mac_table_init(struct mac_table *table, uint32_t ageing_s, uint32_t limit);
void mac_table_fini(struct mac_table *table);

/* An address as a number: the six bytes in network order in the low 48 bits. */
static inline uint64_t mac_from_bytes(const uint8_t *bytes)
{
	uint32_t high;
	uint16_t low;

	__builtin_memcpy(&high, bytes, sizeof(high));
	__builtin_memcpy(&low, bytes + 4, sizeof(low));
	return (uint64_t)__builtin_bswap32(high) << 16 | __builtin_bswap16(low);
}

static inline bool mac_is_multicast(uint64_t mac)
{
	return (mac >> 40 & 1) != 0;
}

static inline struct mac_bucket *mac_table_bucket(struct mac_table *table, uint64_t mac)
{
	/* Multiplicative hash; the high bits are the well mixed ones. */
	return &table->buckets[mac * table->key >> 52];
}

_Static_assert(MAC_TABLE_BUCKETS == 1u << (64 - 52), "the hash yields a bucket number");

/*
 * Workers read the clock once per batch: an entry may be newer than @now_s. It is the difference
 * that counts, so that an entry may also be from before the clock's zero.
 */
static inline uint32_t mac_entry_age(const struct mac_entry *entry, uint32_t now_s)
{
	uint32_t seen_s = atomic_load_explicit(&entry->seen_s, memory_order_relaxed);
	int32_t age_s = (int32_t)(now_s - seen_s);

	return age_s > 0 ? (uint32_t)age_s : 0;
}

/* The port that @mac was seen on, or MAC_TABLE_UNKNOWN. Any thread. */
static inline unsigned mac_table_lookup(struct mac_table *table, uint64_t mac, uint32_t now_s)
{
	struct mac_bucket *bucket = mac_table_bucket(table, mac);

	for (unsigned way = 0; way < MAC_TABLE_WAYS; way++) {
		struct mac_entry *entry = &bucket->ways[way];
		uint64_t word = atomic_load_explicit(&entry->word, memory_order_relaxed);

		if (word >> 16 != mac || word == 0)
			continue;
		if (mac_entry_age(entry, now_s) > table->ageing_s)
			return MAC_TABLE_UNKNOWN;
		return (unsigned)(word & 0xffff) - 1;
	}
	return MAC_TABLE_UNKNOWN;
}

/* The slow half of mac_table_learn(): a new or moved address. */
void mac_table_insert(struct mac_table *table, uint64_t mac, unsigned port, uint32_t now_s);

/* A packet from @mac (unicast) entered on @port. Any thread. */
static inline void mac_table_learn(struct mac_table *table, uint64_t mac, unsigned port,
				   uint32_t now_s)
{
	struct mac_bucket *bucket = mac_table_bucket(table, mac);
	uint64_t wanted = mac << 16 | (port + 1);

	for (unsigned way = 0; way < MAC_TABLE_WAYS; way++) {
		struct mac_entry *entry = &bucket->ways[way];

		if (atomic_load_explicit(&entry->word, memory_order_relaxed) != wanted)
			continue;
		if (atomic_load_explicit(&entry->seen_s, memory_order_relaxed) != now_s)
			atomic_store_explicit(&entry->seen_s, now_s, memory_order_relaxed);
		return;
	}
	mac_table_insert(table, mac, port, now_s);
}

/*
 * Forgets what was learnt on @port. What is being learnt on it at this moment may stay.
 * Any thread.
 */
void mac_table_flush_port(struct mac_table *table, unsigned port);

#endif
