/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of the header-only style; arguments and exit status are nmport.c's.
 */
#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>

static int without_port(void)
{
	struct nm_desc d;
	struct nm_pkthdr hdr;
	char text[NM_ERRBUF_SIZE];
	int wrong = 0;

	memset(&d, 0, sizeof(d));
	memset(&hdr, 0, sizeof(hdr));
	wrong |= nm_parse("netmap:eth0-3/xT@5", &d, text) != 0;
	wrong |= strcmp(d.req.nr_name, "eth0") != 0 || d.req.nr_ringid != 3 || d.req.nr_arg2 != 5;
	wrong |= d.req.nr_flags != (NR_REG_ONE_NIC | NR_EXCLUSIVE | NR_TX_RINGS_ONLY);
	errno = EBUSY;
	wrong |= nm_open("eth0", NULL, 0, NULL) != NULL || errno != 0;
	D("a message");
	D("a message with a %s", "value");
	ND("never seen");
	RD(1, "at most %d in a second", 1);
	return wrong ? 2 : 0;
}

int main(int argc, char **argv)
{
	struct nm_desc *d;

	if (argc < 2)
		return without_port();
	d = nm_open(argv[1], NULL, 0, NULL);
	if (!d) {
		printf("errno %d\n", errno);
		return 1;
	}
	printf("%d TX rings, %d RX rings, %lu bytes\n", d->last_tx_ring - d->first_tx_ring + 1,
	       d->last_rx_ring - d->first_rx_ring + 1, (unsigned long)d->memsize);
	nm_close(d);
	return 0;
}
