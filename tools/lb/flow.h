/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which flow a frame belongs to, as a number that is the same in both directions.
 *
 *	TCP, UDP, UDP-Lite, SCTP, DCCP over IPv4 or IPv6	addresses, ports, protocol
 *	other IP, and fragments (first ones too)		addresses
 *	ICMP and ICMPv6 errors					as the packet that they are about
 *	everything else						MAC addresses
 *
 * VLAN tags are skipped: the two directions may have different ones. Tunnels are taken for what is
 * outside.
 */
#ifndef LB_FLOW_H
#define LB_FLOW_H

#include <stdint.h>

enum flow_fields {
	FLOW_FIELDS_PORTS,     /* as above */
	FLOW_FIELDS_ADDRESSES, /* never ports: so fragments stay with their flow */
};

/* What told the flow. */
enum flow_kind { FLOW_SHORT, FLOW_MAC, FLOW_ADDRESSES, FLOW_PORTS };

struct flow {
	enum flow_kind kind; /* FLOW_SHORT: no Ethernet header; hash 0 */
	uint32_t hash;	     /* all bits as good as random */
};

/*
 * Reads a frame, at most len bytes of which are there (more than a few hundred are never looked
 * at). What is written there may be anything, and may change meanwhile. Other seeds give other
 * numbers.
 */
struct flow flow_of(const uint8_t *frame, uint32_t len, enum flow_fields fields, uint64_t seed);

#endif
