/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of libnetmap's style, in the subset of C and C++ that old compilers know, too. Without
 * arguments it uses what needs no port and checks the results; with a port's name it opens
 * it, says how many rings it got, and closes it. Exit status 0: all as expected; 1: the port
 * could not be opened (the library has said why, through the callback); 2: something is wrong.
 */
#include <libnetmap.h>
#include <net/netmap_user.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A program's own names must not get in the library's way when it is linked statically. */
int mapping_get(void);
int mapping_get(void)
{
	return 7;
}

static void report(struct nmctx *ctx, const char *message)
{
	(void)ctx;
	printf("callback: %s\n", message);
}

static int without_port(void)
{
	struct nmport_d *d, *copy;
	struct nmreq_opt_offsets *offsets;
	int wrong = 0;

	d = nmport_prepare("netmap:eth0-3/xT@5");
	if (!d)
		return 2;
	wrong |= strcmp(d->hdr.nr_name, "eth0") != 0 || d->hdr.nr_reqtype != NETMAP_REQ_REGISTER;
	wrong |= d->reg.nr_mode != NR_REG_ONE_NIC || d->reg.nr_ringid != 3 || d->reg.nr_mem_id != 5;
	wrong |= d->reg.nr_flags != (NR_EXCLUSIVE | NR_TX_RINGS_ONLY);
	wrong |= nmport_offset(d, 2, 64, 16, 0) != 0;
	offsets = (struct nmreq_opt_offsets *)nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS);
	wrong |= !offsets || offsets->nro_max_offset != 64;
	copy = nmport_clone(d);
	wrong |= !copy || copy->register_done ||
		 nmreq_find_option(&copy->hdr, NETMAP_REQ_OPT_OFFSETS);
	nmport_close(copy);
	nmport_close(d);
	errno = 0;
	wrong |= nmport_prepare("eth0") != NULL || errno != EINVAL;
	return wrong ? 2 : 0;
}

int main(int argc, char **argv)
{
	struct nmport_d *d;

	nmctx_get()->error = report;
	if (mapping_get() != 7)
		return 2;
	if (argc < 2)
		return without_port();
	d = nmport_open(argv[1]);
	if (!d) {
		printf("errno %d\n", errno);
		return 1;
	}
	printf("%d TX rings, %d RX rings, %lu bytes\n", d->last_tx_ring - d->first_tx_ring + 1,
	       d->last_rx_ring - d->first_rx_ring + 1, (unsigned long)d->mem->size);
	nmport_close(d);
	return 0;
}
