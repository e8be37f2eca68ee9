/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of a port name that stands before its '@' options (spec/netmap-api.md section
 * 11.1): subsystem and name go into the request header, mode, flags and memory id into the
 * REGISTER body. Both decoders work on copies and write only when all of their part is right.
 */
#include <errno.h>
#include <libnetmap.h>
#include <stdbool.h>
#include <string.h>

#define MAX_RINGID (NETMAP_RING_MASK - 1)
#define MAX_MEMID  UINT16_MAX

static bool is_identifier(const char *s, const char *end)
{
	for (; s != end; s++) {
		bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			     (*s >= '0' && *s <= '9');

		if (!alnum && *s != '_')
			return false;
	}
	return true;
}

static int refuse(struct nmctx *ctx, const char *spec, const char *why)
{
	nmctx_ferror(ctx, "port name '%s': %s", spec, why);
	errno = EINVAL;
	return -1;
}

/* A decimal number of at most max at *s, which is advanced past it; -1 if there is none. */
static long decode_number(const char **s, long max)
{
	const char *p = *s;
	long value = 0;

	if (*p < '0' || *p > '9')
		return -1;
	for (; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (*p - '0');
		if (value > max)
			return -1;
	}
	*s = p;
	return value;
}

int nmreq_header_decode(const char **ppspec, struct nmreq_header *hdr, struct nmctx *ctx)
{
	const char *spec = *ppspec;
	const char *name, *vpname, *end, *pipe;
	const char *colon = strchr(spec, ':');

	if (!colon)
		return refuse(ctx, spec, "no ':'; it should start with netmap: or valeX:");
	vpname = colon + 1;
	if (colon - spec == 6 && !strncmp(spec, "netmap", 6))
		name = vpname;
	else if (colon - spec >= 4 && !strncmp(spec, NM_BDG_NAME, 4))
		name = spec;
	else
		return refuse(ctx, spec, "it should start with netmap: or valeX:");
	if (name == spec && !is_identifier(spec + 4, colon))
		return refuse(ctx, spec, "a switch name is made of letters, digits and _");

	end = vpname + strcspn(vpname, "-*^/@");
	if (end == name)
		return refuse(ctx, spec, "no name after the ':'");
	pipe = vpname + strcspn(vpname, "{}");
	if (pipe < end) {
		if (pipe == vpname)
			return refuse(ctx, spec, "no parent before the pipe id");
		if (pipe + 1 == end)
			return refuse(ctx, spec, "no pipe id");
		if (!is_identifier(pipe + 1, end))
			return refuse(ctx, spec, "a pipe id is made of letters, digits and _");
	}
	if (end - name >= NETMAP_REQ_IFNAMSIZ)
		return refuse(ctx, spec, "the name is longer than 63 characters");

	memset(hdr->nr_name, 0, sizeof(hdr->nr_name));
	memcpy(hdr->nr_name, name, end - name);
	*ppspec = end;
	return 0;
}

/* '^', '^N', '-N', '*' or nothing. Returns the mode, or -1; sets *ringid. */
static int decode_mode(const char **s, uint16_t *ringid)
{
	char sign = **s;
	long ring;
	int mode;

	*ringid = 0;
	switch (sign) {
	case '*':
		(*s)++;
		return NR_REG_NIC_SW;
	case '^':
		(*s)++;
		if (**s < '0' || **s > '9')
			return NR_REG_SW;
		mode = NR_REG_ONE_SW;
		break;
	case '-':
		(*s)++;
		mode = NR_REG_ONE_NIC;
		break;
	default:
		return NR_REG_ALL_NIC;
	}
	ring = decode_number(s, MAX_RINGID);
	if (ring < 0)
		return -1;
	*ringid = (uint16_t)ring;
	return mode;
}

/* The letters after '/'. Returns their bits, or 0 if the first one is none of them. */
static uint64_t decode_flags(const char **s)
{
	uint64_t flags = 0;

	for (;; (*s)++) {
		switch (**s) {
		case 'x':
			flags |= NR_EXCLUSIVE;
			break;
		case 'z':
			flags |= NR_ZCOPY_MON;
			break;
		case 't':
			flags |= NR_MONITOR_TX;
			break;
		case 'r':
			flags |= NR_MONITOR_RX;
			break;
		case 'R':
			flags |= NR_RX_RINGS_ONLY;
			break;
		case 'T':
			flags |= NR_TX_RINGS_ONLY;
			break;
		default:
			return flags;
		}
	}
}

int nmreq_register_decode(const char **pmode, struct nmreq_register *reg, struct nmctx *ctx)
{
	const char *spec = *pmode, *scan = spec;
	bool flags_allowed = true;
	uint64_t flags = 0;
	uint16_t ringid;
	long memid = 0;
	int mode;

	mode = decode_mode(&scan, &ringid);
	if (mode < 0)
		return refuse(ctx, spec, "a ring number is 0 to 4094");
	while (*scan) {
		if (*scan == '/' && flags_allowed) {
			uint64_t more;

			scan++;
			more = decode_flags(&scan);
			if (!more)
				return refuse(ctx, spec, "a '/' is followed by letters of xztrRT");
			flags |= more;
			flags_allowed = false;
		} else if (*scan == '@' && scan[1] >= '0' && scan[1] <= '9') {
			long id;

			scan++;
			id = decode_number(&scan, MAX_MEMID);
			if (id <= 0)
				return refuse(ctx, spec, "a memory id is 1 to 65535");
			if (memid && memid != id)
				return refuse(ctx, spec, "two different memory ids");
			memid = id;
			flags_allowed = true;
		} else if (*scan == '@' && scan[1]) {
			break;
		} else {
			return refuse(ctx, spec, "unexpected character after the name");
		}
	}

	reg->nr_mode = (uint32_t)mode;
	reg->nr_ringid = ringid;
	reg->nr_flags |= flags;
	if (memid)
		reg->nr_mem_id = (uint16_t)memid;
	*pmode = scan;
	return 0;
}
