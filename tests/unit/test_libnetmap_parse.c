/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Port names (spec/netmap-api.md section 11.1, conformance line 69): what each gives, which
 * errno, and that nothing else is touched.
 */
#include <errno.h>
#include <libnetmap.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

enum outcome {
	OK,
	BAD_NAME, /* the header decoder refuses */
	BAD_REST, /* the register decoder refuses */
};

struct line {
	const char *spec;
	enum outcome outcome;
	const char *name;
	uint32_t mode;
	uint16_t ringid;
	uint64_t flags;
	uint16_t mem_id; /* 0: not mentioned */
	const char *rest;
};

#define ALL NR_REG_ALL_NIC
#define ONE NR_REG_ONE_NIC
/* 63 characters are the longest name */
#define N60 "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmn"

static const struct line lines[] = {
	{"netmap:eth0", OK, "eth0", ALL, 0, 0, 0, ""},
	{"netmap:eth0-1", OK, "eth0", ONE, 1, 0, 0, ""},
	{"netmap:eth0-", BAD_REST, "eth0", 0, 0, 0, 0, "-"},
	{"netmap:eth0/x", OK, "eth0", ALL, 0, NR_EXCLUSIVE, 0, ""},
	{"netmap:eth0/z", OK, "eth0", ALL, 0, NR_ZCOPY_MON, 0, ""},
	{"netmap:eth0/r", OK, "eth0", ALL, 0, NR_MONITOR_RX, 0, ""},
	{"netmap:eth0/t", OK, "eth0", ALL, 0, NR_MONITOR_TX, 0, ""},
	{"netmap:eth0/R", OK, "eth0", ALL, 0, NR_RX_RINGS_ONLY, 0, ""},
	{"netmap:eth0/T", OK, "eth0", ALL, 0, NR_TX_RINGS_ONLY, 0, ""},
	{"netmap:eth0-2/Tx", OK, "eth0", ONE, 2, NR_TX_RINGS_ONLY | NR_EXCLUSIVE, 0, ""},
	{"netmap:eth0*", OK, "eth0", NR_REG_NIC_SW, 0, 0, 0, ""},
	{"netmap:eth0^", OK, "eth0", NR_REG_SW, 0, 0, 0, ""},
	{"netmap:eth0^2", OK, "eth0", NR_REG_ONE_SW, 2, 0, 0, ""},
	{"netmap:eth0@2", OK, "eth0", ALL, 0, 0, 2, ""},
	{"netmap:eth0@2/R", OK, "eth0", ALL, 0, NR_RX_RINGS_ONLY, 2, ""},
	{"netmap:eth0@2/R@2", OK, "eth0", ALL, 0, NR_RX_RINGS_ONLY, 2, ""},
	{"netmap:eth0@2/R@3", BAD_REST, "eth0", 0, 0, 0, 0, "@2/R@3"},
	{"netmap:eth0@0", BAD_REST, "eth0", 0, 0, 0, 0, "@0"},
	{"netmap:eth0@65535", OK, "eth0", ALL, 0, 0, 65535, ""},
	{"netmap:eth0@65536", BAD_REST, "eth0", 0, 0, 0, 0, "@65536"},
	{"netmap:eth0/x@2/R", OK, "eth0", ALL, 0, NR_EXCLUSIVE | NR_RX_RINGS_ONLY, 2, ""},
	{"netmap:eth0@netmap:lo/R", OK, "eth0", ALL, 0, 0, 0, "@netmap:lo/R"},
	{"netmap:eth0/R@xxx", OK, "eth0", ALL, 0, NR_RX_RINGS_ONLY, 0, "@xxx"},
	{"netmap:eth0@2@xxx", OK, "eth0", ALL, 0, 0, 2, "@xxx"},
	{"netmap:eth0@", BAD_REST, "eth0", 0, 0, 0, 0, "@"},
	{"vale0:0@", BAD_REST, "vale0:0", 0, 0, 0, 0, "@"},
	{"netmap:", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"netmap:^", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"netmap:{", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"netmap:pipe{", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"netmap:pipe}-1", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"eth0", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"netmapXXX:eth0", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"netmap:pipe{1}2", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"netmap:pipe{1&", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"vale", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"vale-x:0", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	{"val:0", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
	/* netmap's library takes these two, so programs may use them */
	{"netmap:eth0&", OK, "eth0&", ALL, 0, 0, 0, ""},
	{"netmap:vale0:0", OK, "vale0:0", ALL, 0, 0, 0, ""},
	{"vale0:0", OK, "vale0:0", ALL, 0, 0, 0, ""},
	{"vale:0", OK, "vale:0", ALL, 0, 0, 0, ""},
	{"valeXXX:YYY", OK, "valeXXX:YYY", ALL, 0, 0, 0, ""},
	{"vale0:", OK, "vale0:", ALL, 0, 0, 0, ""},
	{"valeXXX:YYY-4", OK, "valeXXX:YYY", ONE, 4, 0, 0, ""},
	{"vale0:0-3@opt", OK, "vale0:0", ONE, 3, 0, 0, "@opt"},
	{"netmap:14", OK, "14", ALL, 0, 0, 0, ""},
	{"netmap:eth0.100", OK, "eth0.100", ALL, 0, 0, 0, ""},
	{"netmap:eth0+1", OK, "eth0+1", ALL, 0, 0, 0, ""},
	{"netmap:eth0-4094", OK, "eth0", ONE, 4094, 0, 0, ""},
	{"netmap:eth0-4095", BAD_REST, "eth0", 0, 0, 0, 0, "-4095"},
	{"netmap:eth0-99999999999999999999", BAD_REST, "eth0", 0, 0, 0, 0, "-99999999999999999999"},
	{"netmap:eth0/Rx/T", BAD_REST, "eth0", 0, 0, 0, 0, "/Rx/T"},
	{"netmap:eth0/", BAD_REST, "eth0", 0, 0, 0, 0, "/"},
	{"netmap:eth0/q", BAD_REST, "eth0", 0, 0, 0, 0, "/q"},
	{"netmap:eth0-1-2", BAD_REST, "eth0", 0, 0, 0, 0, "-1-2"},
	{"netmap:eth0@2^", BAD_REST, "eth0", 0, 0, 0, 0, "@2^"},
	{"netmap:eth0/x@2-3", BAD_REST, "eth0", 0, 0, 0, 0, "/x@2-3"},
	{"netmap:pipe{0", OK, "pipe{0", ALL, 0, 0, 0, ""},
	{"netmap:pipe}0", OK, "pipe}0", ALL, 0, 0, 0, ""},
	{"netmap:pipe{in", OK, "pipe{in", ALL, 0, 0, 0, ""},
	{"netmap:pipe{in-7", OK, "pipe{in", ONE, 7, 0, 0, ""},
	{"vale0:0{0", OK, "vale0:0{0", ALL, 0, 0, 0, ""},
	{"vale0:0@opt", OK, "vale0:0", ALL, 0, 0, 0, "@opt"},
	{"vale0:0/Tx@opt", OK, "vale0:0", ALL, 0, NR_TX_RINGS_ONLY | NR_EXCLUSIVE, 0, "@opt"},
	{"netmap:" N60 "xyz", OK, N60 "xyz", ALL, 0, 0, 0, ""},
	{"netmap:" N60 "xyz4", BAD_NAME, NULL, 0, 0, 0, 0, NULL},
};

static void quiet(struct nmctx *ctx, const char *msg)
{
	(void)ctx;
	assert_true(strlen(msg) > 0);
}

/* Fills what a name may change with values that none of them gives. */
static void preset(struct nmreq_header *hdr, struct nmreq_register *reg)
{
	memset(hdr, 0x5a, sizeof(*hdr));
	memset(reg, 0x5a, sizeof(*reg));
	reg->nr_flags = 0;
}

static void check_line(const struct line *l)
{
	struct nmreq_header hdr, want_hdr;
	struct nmreq_register reg, want_reg;
	const char *scan = l->spec;
	int result;

	preset(&hdr, &reg);
	preset(&want_hdr, &want_reg);
	errno = 0;
	result = nmreq_header_decode(&scan, &hdr, nmctx_get());
	if (l->outcome == BAD_NAME) {
		if (!result)
			fail_msg("'%s': name accepted", l->spec);
		assert_int_equal(errno, EINVAL);
		assert_ptr_equal(scan, l->spec);
		assert_memory_equal(&hdr, &want_hdr, sizeof(hdr));
		return;
	}
	if (result)
		fail_msg("'%s': name refused", l->spec);
	assert_string_equal(hdr.nr_name, l->name);
	memcpy(want_hdr.nr_name, hdr.nr_name, sizeof(hdr.nr_name));
	assert_memory_equal(&hdr, &want_hdr, sizeof(hdr));

	result = nmreq_register_decode(&scan, &reg, nmctx_get());
	if (!result != (l->outcome == OK))
		fail_msg("'%s': rest %s", l->spec, result ? "refused" : "accepted");
	assert_string_equal(scan, l->rest);
	if (result) {
		assert_int_equal(errno, EINVAL);
	} else {
		want_reg.nr_mode = l->mode;
		want_reg.nr_ringid = l->ringid;
		want_reg.nr_flags = l->flags;
		if (l->mem_id)
			want_reg.nr_mem_id = l->mem_id;
	}
	assert_memory_equal(&reg, &want_reg, sizeof(reg));
}

static void every_line_of_the_table(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		check_line(&lines[i]);
}

static void flags_set_before_are_kept(void **state)
{
	struct nmreq_register reg = {.nr_flags = NR_ACCEPT_VNET_HDR};
	const char *scan = "/x";

	(void)state;
	assert_int_equal(nmreq_register_decode(&scan, &reg, nmctx_get()), 0);
	assert_int_equal(reg.nr_flags, NR_ACCEPT_VNET_HDR | NR_EXCLUSIVE);
}

static void expect_refused(const char *spec, int error)
{
	struct nmport_d *d;

	errno = 0;
	d = nmport_prepare(spec);
	if (d)
		fail_msg("'%s' accepted", spec);
	if (errno != error)
		fail_msg("'%s': errno %d, not %d", spec, errno, error);
}

static void conf_sets_the_wishes(void **state)
{
	struct nmport_d *d = nmport_prepare("valeA:1-3/R@conf:rings=2,slots=512,tx_slots=0x100");

	(void)state;
	assert_non_null(d);
	assert_string_equal(d->hdr.nr_name, "valeA:1");
	assert_int_equal(d->hdr.nr_version, NETMAP_API);
	assert_int_equal(d->hdr.nr_reqtype, NETMAP_REQ_REGISTER);
	assert_ptr_equal((void *)(uintptr_t)d->hdr.nr_body, &d->reg);
	assert_int_equal(d->reg.nr_ringid, 3);
	assert_int_equal(d->reg.nr_tx_rings, 2);
	assert_int_equal(d->reg.nr_rx_rings, 2);
	assert_int_equal(d->reg.nr_rx_slots, 512);
	assert_int_equal(d->reg.nr_tx_slots, 256);
	nmport_close(d);

	/* '-' and '_' in keys are the same; several options may follow one another */
	d = nmport_prepare("netmap:eth0-1/xR@conf:host-rings=3@conf:rx_rings=5");
	assert_non_null(d);
	assert_int_equal(d->reg.nr_host_tx_rings, 3);
	assert_int_equal(d->reg.nr_host_rx_rings, 3);
	assert_int_equal(d->reg.nr_rx_rings, 5);
	assert_int_equal(d->reg.nr_tx_rings, 0);
	nmport_close(d);
}

static void wrong_options_are_refused(void **state)
{
	(void)state;
	expect_refused("netmap:eth0@xxx", EINVAL);
	expect_refused("netmap:eth0@conf:rings", EINVAL);
	expect_refused("netmap:eth0@conf:rings=", EINVAL);
	expect_refused("netmap:eth0@conf:rings=2,rings=2", EINVAL);
	expect_refused("netmap:eth0@conf:rings=65536", EINVAL);
	expect_refused("netmap:eth0@conf:rings=-1", EINVAL);
	expect_refused("netmap:eth0@conf:rings=2x", EINVAL);
	expect_refused("netmap:eth0@conf:nothing=1", EINVAL);
	expect_refused("netmap:eth0@conf=1", EINVAL);
	expect_refused("netmap:eth0@share", EINVAL);
	expect_refused("netmap:eth0@share=eth1", EINVAL);
	expect_refused("netmap:eth0@extmem=/nonexistent/file", ENOENT);
	expect_refused("netmap:eth0@extmem:if_num=1", EINVAL);
	expect_refused("netmap:eth0@offset=64", EOPNOTSUPP);
	expect_refused("nonsense", EINVAL);
}

static void offset_must_be_enabled(void **state)
{
	struct nmreq_opt_offsets *o;
	struct nmport_d *d;

	(void)state;
	assert_int_equal(nmport_enable_option("nothing"), -1);
	assert_int_equal(nmport_enable_option("offset"), 0);
	d = nmport_prepare("netmap:eth0@offset:initial=64,bits=8");
	assert_non_null(d);
	o = (struct nmreq_opt_offsets *)nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS);
	assert_non_null(o);
	assert_int_equal(o->nro_initial_offset, 64);
	assert_int_equal(o->nro_max_offset, 64);
	assert_int_equal(o->nro_offset_bits, 8);
	nmport_undo_parse(d);
	assert_null(nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS));
	nmport_close(d);
	nmport_disable_option("offset");
	expect_refused("netmap:eth0@offset=64", EOPNOTSUPP);
}

static void extmem_is_described_and_undone(void **state)
{
	static char memory[4096] __attribute__((aligned(4096)));
	struct nmport_d *d = nmport_new();

	(void)state;
	assert_non_null(d);
	assert_null(nmport_extmem_getinfo(d));
	assert_int_equal(nmport_extmem(d, memory, sizeof(memory)), 0);
	assert_int_equal(nmport_extmem(d, memory, sizeof(memory)), -1);
	assert_int_equal(errno, EINVAL);
	assert_ptr_equal((void *)(uintptr_t)d->extmem->nro_usrptr, memory);
	assert_int_equal(nmport_extmem_getinfo(d)->nr_memsize, sizeof(memory));
	nmport_undo_parse(d);
	assert_null(d->extmem);
	assert_int_equal(d->hdr.nr_options, 0);
	nmport_close(d);
	nmport_close(NULL);
}

static void clone_has_its_own_body_and_no_options(void **state)
{
	struct nmport_d *d = nmport_prepare("netmap:eth0-1@7"), *c;

	(void)state;
	assert_non_null(d);
	assert_int_equal(nmport_offset(d, 0, 64, 0, 0), 0);
	c = nmport_clone(d);
	assert_non_null(c);
	assert_string_equal(c->hdr.nr_name, "eth0");
	assert_int_equal(c->hdr.nr_options, 0);
	assert_ptr_equal((void *)(uintptr_t)c->hdr.nr_body, &c->reg);
	assert_int_equal(c->reg.nr_mem_id, 7);
	assert_int_equal(c->fd, -1);
	nmport_close(c);
	nmport_close(d);
}

static void option_lists(void **state)
{
	struct nmreq_option a = {.nro_reqtype = 1}, b = {.nro_reqtype = 2}, c = {.nro_reqtype = 3};
	struct nmreq_header hdr;

	(void)state;
	nmreq_header_init(&hdr, NETMAP_REQ_CSB_ENABLE, NULL);
	nmreq_push_option(&hdr, &a);
	nmreq_push_option(&hdr, &b);
	nmreq_push_option(&hdr, &c);
	assert_ptr_equal(nmreq_find_option(&hdr, 2), &b);
	nmreq_remove_option(&hdr, &b);
	assert_null(nmreq_find_option(&hdr, 2));
	assert_ptr_equal(nmreq_find_option(&hdr, 1), &a);
	nmreq_remove_option(&hdr, &c);
	nmreq_remove_option(&hdr, &a);
	assert_int_equal(hdr.nr_options, 0);
	assert_string_equal(nmreq_option_name(NETMAP_REQ_OPT_CSB), "csb");
	assert_string_equal(nmreq_option_name(NETMAP_REQ_OPT_MAX), "unknown");
	assert_string_equal(nmreq_option_name(0), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_of_the_table),
		cmocka_unit_test(flags_set_before_are_kept),
		cmocka_unit_test(conf_sets_the_wishes),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(offset_must_be_enabled),
		cmocka_unit_test(extmem_is_described_and_undone),
		cmocka_unit_test(clone_has_its_own_body_and_no_options),
		cmocka_unit_test(option_lists),
	};

	nmctx_get()->error = quiet;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
