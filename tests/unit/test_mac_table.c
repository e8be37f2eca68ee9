/* SPDX-License-Identifier: BSD-2-Clause */
/* The address table: learning, ageing, moving, limits, eviction, and all of it from several
 * threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "port/mac_table.h"
#include "random.h"

#define AGEING 300u
#define LIMIT  1024u

static struct mac_table *table_create(uint32_t ageing_s, uint32_t limit)
{
	struct mac_table *table = aligned_alloc(64, (sizeof(*table) + 63) / 64 * 64);

	assert_non_null(table);
	mac_table_init(table, ageing_s, limit);
	return table;
}

static void table_destroy(struct mac_table *table)
{
	mac_table_fini(table);
	free(table);
}

/* Unicast addresses that share the bucket of the first one. */
static void colliding_macs(struct mac_table *table, uint64_t start, uint64_t *macs, unsigned count)
{
	uint64_t mac = start;

	for (unsigned found = 0; found < count; mac++)
		if (mac_table_bucket(table, mac) == mac_table_bucket(table, start))
			macs[found++] = mac;
}

static unsigned entries_of(const struct mac_table *table, unsigned port)
{
	unsigned count = 0;

	for (unsigned b = 0; b < MAC_TABLE_BUCKETS; b++)
		for (unsigned way = 0; way < MAC_TABLE_WAYS; way++) {
			uint64_t word = table->buckets[b].ways[way].word;

			count += word != 0 && (word & 0xffff) == port + 1;
		}
	return count;
}

static void addresses_are_numbers_in_network_order(void **state)
{
	static const uint8_t bytes[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
	static const uint8_t multicast[6] = {0x01, 0, 0x5e, 0, 0, 1};

	(void)state;
	assert_int_equal(mac_from_bytes(bytes), UINT64_C(0x021122334455));
	assert_false(mac_is_multicast(mac_from_bytes(bytes)));
	assert_true(mac_is_multicast(mac_from_bytes(multicast)));
}

static void nothing_is_known_at_first(void **state)
{
	struct mac_table *table = table_create(AGEING, LIMIT);

	(void)state;
	assert_int_equal(mac_table_lookup(table, 0, 0), MAC_TABLE_UNKNOWN);
	assert_int_equal(mac_table_lookup(table, 0x021122334455, 1000), MAC_TABLE_UNKNOWN);
	assert_int_equal(mac_table_lookup(table, 0xfeffffffffff, UINT32_MAX), MAC_TABLE_UNKNOWN);
	table_destroy(table);
}

static void learnt_addresses_are_found(void **state)
{
	struct mac_table *table = table_create(AGEING, LIMIT);

	(void)state;
	/* The extremes: the address 0 and the first and last port that a switch has. */
	mac_table_learn(table, 0, 0, 10);
	mac_table_learn(table, 0xfeffffffffff, 253, 10);
	assert_int_equal(mac_table_lookup(table, 0, 10), 0);
	assert_int_equal(mac_table_lookup(table, 0xfeffffffffff, 10), 253);
	assert_int_equal(mac_table_lookup(table, 1, 10), MAC_TABLE_UNKNOWN);
	table_destroy(table);
}

static void entries_age_unless_refreshed(void **state)
{
	struct mac_table *table = table_create(AGEING, LIMIT);

	(void)state;
	mac_table_learn(table, 2, 7, 1000);
	assert_int_equal(mac_table_lookup(table, 2, 1000 + AGEING), 7);
	assert_int_equal(mac_table_lookup(table, 2, 1000 + AGEING + 1), MAC_TABLE_UNKNOWN);
	mac_table_learn(table, 2, 7, 1200);
	assert_int_equal(mac_table_lookup(table, 2, 1200 + AGEING), 7);
	assert_int_equal(mac_table_lookup(table, 2, 1200 + AGEING + 1), MAC_TABLE_UNKNOWN);
	/* Aged, then heard of again. */
	mac_table_learn(table, 2, 7, 5000);
	assert_int_equal(mac_table_lookup(table, 2, 5000), 7);
	assert_int_equal(table->per_port[7], 1);
	table_destroy(table);
}

/* Workers read a coarse clock once per batch: one may be a tick behind another. */
static void a_clock_that_is_behind_ages_nothing(void **state)
{
	struct mac_table *table = table_create(AGEING, LIMIT);
	uint64_t macs[6];

	(void)state;
	mac_table_learn(table, 2, 7, 1000);
	assert_int_equal(mac_table_lookup(table, 2, 999), 7);

	/* Nor may it make the freshest entry look like the oldest. */
	colliding_macs(table, 100, macs, 6);
	mac_table_learn(table, macs[0], 1, 1001);
	mac_table_learn(table, macs[1], 1, 1000);
	assert_int_equal(mac_table_lookup(table, macs[0], 1000), 1);
	mac_table_learn(table, macs[2], 1, 500);
	mac_table_learn(table, macs[3], 1, 1000);
	mac_table_learn(table, macs[4], 1, 1000);
	assert_int_equal(mac_table_lookup(table, macs[0], 1000), 1);
	assert_int_equal(mac_table_lookup(table, macs[2], 1000), MAC_TABLE_UNKNOWN);
	table_destroy(table);
}

static void the_clock_may_begin_anew(void **state)
{
	struct mac_table *table = table_create(AGEING, LIMIT);

	(void)state;
	mac_table_learn(table, 0x021122334455, 7, UINT32_MAX - 9);
	assert_int_equal(mac_table_lookup(table, 0x021122334455, UINT32_MAX), 7);
	assert_int_equal(mac_table_lookup(table, 0x021122334455, AGEING - 10), 7);
	assert_int_equal(mac_table_lookup(table, 0x021122334455, AGEING - 9), MAC_TABLE_UNKNOWN);
	table_destroy(table);
}

static void an_address_moves_and_moves_back(void **state)
{
	struct mac_table *table = table_create(AGEING, LIMIT);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned port = 3; port < 6; port++) {
			mac_table_learn(table, 2, port, 50);
			assert_int_equal(mac_table_lookup(table, 2, 50), port);
			assert_int_equal(table->per_port[port], 1);
		}
	}
	assert_int_equal(table->per_port[3], 0);
	assert_int_equal(table->per_port[4], 0);
	table_destroy(table);
}

/* An address that has not aged is given up for its own port's new one only. */
static void a_full_bucket_keeps_what_others_have(void **state)
{
	struct mac_table *table = table_create(AGEING, LIMIT);
	uint64_t macs[7];

	(void)state;
	colliding_macs(table, 0x020000000001, macs, 7);
	for (unsigned i = 0; i < 4; i++)
		mac_table_learn(table, macs[i], i, 100 + i);
	mac_table_learn(table, macs[0], 0, 110); /* no longer the oldest */
	mac_table_learn(table, macs[4], 4, 111);
	assert_int_equal(mac_table_lookup(table, macs[4], 111), MAC_TABLE_UNKNOWN);
	mac_table_learn(table, macs[4], 2, 111);
	assert_int_equal(mac_table_lookup(table, macs[4], 111), 2);
	assert_int_equal(mac_table_lookup(table, macs[2], 111), MAC_TABLE_UNKNOWN);
	assert_int_equal(table->per_port[2], 1);
	/* The one that was silent for longest has aged. */
	mac_table_learn(table, macs[5], 5, 101 + AGEING + 1);
	assert_int_equal(mac_table_lookup(table, macs[5], 101 + AGEING + 1), 5);
	assert_int_equal(table->per_port[1], 0);
	assert_int_equal(table->per_port[5], 1);
	/* An empty place is taken before anything is given up. */
	mac_table_flush_port(table, 5);
	mac_table_learn(table, macs[6], 6, 113);
	assert_int_equal(mac_table_lookup(table, macs[0], 113), 0);
	assert_int_equal(mac_table_lookup(table, macs[3], 113), 3);
	assert_int_equal(mac_table_lookup(table, macs[4], 113), 2);
	assert_int_equal(mac_table_lookup(table, macs[6], 113), 6);
	table_destroy(table);
}

static void a_port_holds_no_more_than_its_limit(void **state)
{
	struct mac_table *table = table_create(AGEING, 3);
	uint64_t same[2], mac = 2;

	(void)state;
	colliding_macs(table, 0x020000000001, same, 2);
	mac_table_learn(table, same[0], 9, 100);
	for (unsigned held = 1; held < 3; mac++)
		if (mac_table_bucket(table, mac) != mac_table_bucket(table, same[0])) {
			mac_table_learn(table, mac, 9, 100);
			held++;
		}
	/* In a bucket where the port has nothing: not learnt. Another port is not bothered. */
	while (mac_table_bucket(table, mac) == mac_table_bucket(table, same[0]))
		mac++;
	mac_table_learn(table, mac, 9, 100);
	assert_int_equal(mac_table_lookup(table, mac, 100), MAC_TABLE_UNKNOWN);
	mac_table_learn(table, mac, 8, 100);
	assert_int_equal(mac_table_lookup(table, mac, 100), 8);
	/* Nor may it take another's address over, though it may replace one of its own. */
	mac_table_learn(table, mac, 9, 100);
	assert_int_equal(mac_table_lookup(table, mac, 100), 8);
	mac_table_learn(table, same[1], 9, 100);
	assert_int_equal(mac_table_lookup(table, same[1], 100), 9);
	assert_int_equal(mac_table_lookup(table, same[0], 100), MAC_TABLE_UNKNOWN);
	assert_int_equal(table->per_port[9], 3);
	assert_int_equal(entries_of(table, 9), 3);
	table_destroy(table);
}

/* Else a port behind which addresses come and go could some day learn no more. */
static void aged_entries_do_not_count_towards_the_limit(void **state)
{
	struct mac_table *table = table_create(AGEING, 64);

	(void)state;
	for (uint64_t mac = 2; mac < 2 + 64; mac++)
		mac_table_learn(table, mac, 9, 100);
	for (uint64_t mac = 1002; mac < 1002 + 64; mac++) {
		mac_table_learn(table, mac, 9, 101 + AGEING);
		assert_int_equal(mac_table_lookup(table, mac, 101 + AGEING), 9);
	}
	assert_true(table->per_port[9] <= 64);
	assert_int_equal(entries_of(table, 9), table->per_port[9]);
	table_destroy(table);
}

static void flushing_forgets_one_port_only(void **state)
{
	struct mac_table *table = table_create(AGEING, 100);

	(void)state;
	for (uint64_t mac = 0; mac < 200; mac++)
		mac_table_learn(table, mac, mac % 2, 100);
	mac_table_flush_port(table, 1);
	for (uint64_t mac = 0; mac < 200; mac++)
		assert_int_equal(mac_table_lookup(table, mac, 100),
				 mac % 2 == 0 ? 0 : MAC_TABLE_UNKNOWN);
	/* Its allowance is free again for whoever comes to this index next. */
	for (uint64_t mac = 1000; mac < 1100; mac++) {
		mac_table_learn(table, mac, 1, 100);
		assert_int_equal(mac_table_lookup(table, mac, 100), 1);
	}
	table_destroy(table);
}

/* ---- random operations against a plain model with the same policy ---- */

#define MODEL_BUCKETS 4
#define MODEL_MACS    24 /* per bucket */
#define MODEL_PORTS   5
#define MODEL_LIMIT   6
#define MODEL_AGEING  40

struct model_entry {
	uint64_t mac;
	int port; /* -1: empty */
	uint32_t seen;
};

struct model {
	struct model_entry entries[MODEL_BUCKETS][MAC_TABLE_WAYS];
};

static unsigned model_count(const struct model *model, int port)
{
	unsigned count = 0;

	for (unsigned b = 0; b < MODEL_BUCKETS; b++)
		for (unsigned way = 0; way < MAC_TABLE_WAYS; way++)
			count += model->entries[b][way].port == port;
	return count;
}

static void model_drop_aged(struct model *model, uint32_t now)
{
	for (unsigned b = 0; b < MODEL_BUCKETS; b++)
		for (unsigned way = 0; way < MAC_TABLE_WAYS; way++)
			if (now - model->entries[b][way].seen > MODEL_AGEING)
				model->entries[b][way].port = -1;
}

static void model_learn(struct model *model, unsigned bucket, uint64_t mac, int port, uint32_t now)
{
	struct model_entry *entries = model->entries[bucket], *take = NULL;
	bool at_limit;

	for (unsigned way = 0; way < MAC_TABLE_WAYS; way++)
		if (entries[way].port == port && entries[way].mac == mac) {
			entries[way].seen = now;
			return;
		}
	if (model_count(model, port) >= MODEL_LIMIT)
		model_drop_aged(model, now);
	at_limit = model_count(model, port) >= MODEL_LIMIT;
	for (unsigned way = 0; way < MAC_TABLE_WAYS; way++)
		if (entries[way].port >= 0 && entries[way].mac == mac) {
			if (!at_limit)
				entries[way] = (struct model_entry){mac, port, now};
			return;
		}
	for (unsigned way = 0; way < MAC_TABLE_WAYS; way++) {
		if (entries[way].port != port &&
		    (at_limit ||
		     (entries[way].port >= 0 && now - entries[way].seen <= MODEL_AGEING)))
			continue;
		if (take == NULL ||
		    (take->port >= 0 && (entries[way].port < 0 || entries[way].seen < take->seen)))
			take = &entries[way];
	}
	if (take != NULL)
		*take = (struct model_entry){mac, port, now};
}

static unsigned model_lookup(const struct model *model, unsigned bucket, uint64_t mac, uint32_t now)
{
	for (unsigned way = 0; way < MAC_TABLE_WAYS; way++) {
		const struct model_entry *entry = &model->entries[bucket][way];

		if (entry->port >= 0 && entry->mac == mac && now - entry->seen <= MODEL_AGEING)
			return (unsigned)entry->port;
	}
	return MAC_TABLE_UNKNOWN;
}

static void model_flush(struct model *model, int port)
{
	for (unsigned b = 0; b < MODEL_BUCKETS; b++)
		for (unsigned way = 0; way < MAC_TABLE_WAYS; way++)
			if (model->entries[b][way].port == port)
				model->entries[b][way].port = -1;
}

static void random_operations_agree_with_the_model(void **state)
{
	struct mac_table *table = table_create(MODEL_AGEING, MODEL_LIMIT);
	uint64_t macs[MODEL_BUCKETS][MODEL_MACS];
	struct random random;
	struct model model;
	uint32_t now = 1000;

	(void)state;
	random_start(&random, "mac_table");
	memset(&model, 0xff, sizeof(model));
	for (unsigned b = 0; b < MODEL_BUCKETS; b++)
		colliding_macs(table, 0x020000000000 + b, macs[b], MODEL_MACS);
	for (unsigned step = 0; step < 30000; step++) {
		unsigned b = random_below(&random, MODEL_BUCKETS);
		uint64_t mac = macs[b][random_below(&random, MODEL_MACS)];
		unsigned port = random_below(&random, MODEL_PORTS);

		now += 1 + random_below(&random, 2); /* no two entries are equally old */
		if (random_below(&random, 200) == 0) {
			mac_table_flush_port(table, port);
			model_flush(&model, (int)port);
		} else if (random_below(&random, 500) == 0) {
			now += MODEL_AGEING;
		} else {
			mac_table_learn(table, mac, port, now);
			model_learn(&model, b, mac, (int)port, now);
		}
		for (unsigned i = 0; i < MODEL_BUCKETS; i++)
			for (unsigned m = 0; m < MODEL_MACS; m++)
				assert_int_equal(mac_table_lookup(table, macs[i][m], now),
						 model_lookup(&model, i, macs[i][m], now));
		for (unsigned p = 0; p < MODEL_PORTS; p++)
			assert_int_equal(table->per_port[p], model_count(&model, (int)p));
	}
	table_destroy(table);
}

/* ---- several threads ---- */

#define THREAD_PORTS  3
#define THREAD_ROUNDS 200000

struct learner {
	struct mac_table *table;
	unsigned port;
	unsigned wrong;
};

static void *learn_and_look(void *argument)
{
	struct learner *learner = argument;
	struct random random = {.state = 88172645463325252u + learner->port};

	for (unsigned i = 0; i < THREAD_ROUNDS; i++) {
		/* A few hundred addresses that move between the ports, in few buckets. */
		uint64_t mac = 0x020000000000 + random_below(&random, 300);
		unsigned found;

		mac_table_learn(learner->table, mac, learner->port, i / 1000);
		mac = 0x020000000000 + random_below(&random, 300);
		found = mac_table_lookup(learner->table, mac, i / 1000);
		if (found >= THREAD_PORTS && found != MAC_TABLE_UNKNOWN)
			learner->wrong++;
		if (i % 50000 == 49999)
			mac_table_flush_port(learner->table, learner->port);
	}
	return NULL;
}

static void threads_may_learn_and_look_at_once(void **state)
{
	struct mac_table *table = table_create(100, 80);
	struct learner learners[THREAD_PORTS];
	pthread_t threads[THREAD_PORTS];

	(void)state;
	for (unsigned i = 0; i < THREAD_PORTS; i++) {
		learners[i] = (struct learner){.table = table, .port = i};
		assert_int_equal(pthread_create(&threads[i], NULL, learn_and_look, &learners[i]),
				 0);
	}
	for (unsigned i = 0; i < THREAD_PORTS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(learners[i].wrong, 0);
	}
	for (unsigned port = 0; port < THREAD_PORTS; port++) {
		assert_int_equal(table->per_port[port], entries_of(table, port));
		assert_true(table->per_port[port] <= 80);
	}
	table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_numbers_in_network_order),
		cmocka_unit_test(nothing_is_known_at_first),
		cmocka_unit_test(learnt_addresses_are_found),
		cmocka_unit_test(entries_age_unless_refreshed),
		cmocka_unit_test(a_clock_that_is_behind_ages_nothing),
		cmocka_unit_test(the_clock_may_begin_anew),
		cmocka_unit_test(an_address_moves_and_moves_back),
		cmocka_unit_test(a_full_bucket_keeps_what_others_have),
		cmocka_unit_test(a_port_holds_no_more_than_its_limit),
		cmocka_unit_test(aged_entries_do_not_count_towards_the_limit),
		cmocka_unit_test(flushing_forgets_one_port_only),
		cmocka_unit_test(random_operations_agree_with_the_model),
		cmocka_unit_test(threads_may_learn_and_look_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
