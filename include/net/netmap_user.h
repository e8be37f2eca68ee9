/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a program needs around net/netmap.h to use a port it has opened: finding
 * rings and buffers in the mapped region, and ring arithmetic. With
 * NETMAP_WITH_LIBS defined before the include it also offers a small
 * header-only library (nm_open and friends); new programs had better use
 * libnetmap.h, whose names and options go further.
 *
 * Everything here is compiled into the program and speaks to /dev/netmap with
 * open, ioctl and mmap alone. Rings belong to one thread at a time; nothing here
 * locks. Source of the facts: spec/netmap-api.md sections 2, 3, 11.2 and 12.2.
 */
#ifndef _NET_NETMAP_USER_H_
#define _NET_NETMAP_USER_H_

/* Programs count on it for struct ifreq and the interface flags, too (libpcap does). */
#include <net/if.h>
#include <net/netmap.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifndef likely
#define likely(_x)   __builtin_expect(!!(_x), 1)
#define unlikely(_x) __builtin_expect(!!(_x), 0)
#endif

/* The netmap_if at offset ofs of the region mapped at base (nr_offset of the REGISTER reply). */
#define NETMAP_IF(_base, _ofs) ((struct netmap_if *)(void *)((char *)(_base) + (_ofs)))

#define NETMAP_RING_AT(_nifp, _slot)                                                               \
	((struct netmap_ring *)(void *)((char *)(_nifp) + (_nifp)->ring_ofs[_slot]))

/* Ring number index of one direction, host rings after NIC rings. Equals nifp if not bound. */
#define NETMAP_TXRING(_nifp, _index) NETMAP_RING_AT(_nifp, _index)
#define NETMAP_RXRING(_nifp, _index)                                                               \
	NETMAP_RING_AT(_nifp, (_index) + (_nifp)->ni_tx_rings + (_nifp)->ni_host_tx_rings)

/* Address of a buffer, and back. The index is not checked. */
#define NETMAP_BUF(_ring, _index)                                                                  \
	((char *)(_ring) + (_ring)->buf_ofs + ((size_t)(_index) * (_ring)->nr_buf_size))
#define NETMAP_BUF_IDX(_ring, _buf)                                                                \
	(((char *)(_buf) - ((char *)(_ring) + (_ring)->buf_ofs)) / (_ring)->nr_buf_size)

/* Where in its buffer a slot's packet starts (0 unless the port was opened with offsets). */
#define NETMAP_ROFFSET(_ring, _slot) ((_slot)->ptr & (_ring)->offset_mask)
#define NETMAP_WOFFSET(_ring, _slot, _offset)                                                      \
	do {                                                                                       \
		(_slot)->ptr = ((_slot)->ptr & ~(_ring)->offset_mask) |                            \
			       ((_offset) & (_ring)->offset_mask);                                 \
	} while (0)
#define NETMAP_BUF_OFFSET(_ring, _slot)                                                            \
	(NETMAP_BUF(_ring, (_slot)->buf_idx) + NETMAP_ROFFSET(_ring, _slot))

/* The slot after slot i. */
static inline uint32_t nm_ring_next(const struct netmap_ring *ring, uint32_t i)
{
	return i + 1 == ring->num_slots ? 0 : i + 1;
}

/* Slots that the user owns from head on: room in a TX ring, packets' slots in an RX ring. */
static inline uint32_t nm_ring_space(const struct netmap_ring *ring)
{
	uint32_t head = ring->head, tail = ring->tail;

	return tail >= head ? tail - head : tail + ring->num_slots - head;
}

/* True while slots handed over in a TX ring have not come back; true again only after a sync. */
static inline int nm_tx_pending(const struct netmap_ring *ring)
{
	return nm_ring_next(ring, ring->tail) != ring->head;
}

/* Copy a packet of len bytes; source and destination do not overlap. Writes len bytes exactly. */
static inline void nm_pkt_copy(const void *src, void *dst, int len)
{
	if (len > 0)
		memcpy(dst, src, (size_t)len);
}

#endif /* _NET_NETMAP_USER_H_ */

/* Outside the guard: a program may ask for it after another header has included this one. */
#if defined(NETMAP_WITH_LIBS) && !defined(HAVE_NETMAP_WITH_LIBS)
#define HAVE_NETMAP_WITH_LIBS

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Where, what and when, on stderr. Keeps errno. */
static inline void __attribute__((format(printf, 3, 4)))
nm_message(const char *function, int line, const char *fmt, ...)
{
	int error = errno;
	struct timeval now;
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	gettimeofday(&now, NULL);
	fprintf(stderr, "%03d.%06d %s [%d] %s\n", (int)(now.tv_sec % 1000), (int)now.tv_usec,
		function, line, text);
	errno = error;
}

/* Messages as netmap programs write them: D always, ND never, RD at most _lps per second. */
#ifndef ND
#define ND(...)                                                                                    \
	do {                                                                                       \
	} while (0)
#define D(...) nm_message(__func__, __LINE__, __VA_ARGS__)
#define RD(_lps, ...)                                                                              \
	do {                                                                                       \
		static time_t _nm_second;                                                          \
		static int _nm_lines;                                                              \
		time_t _nm_now = time(NULL);                                                       \
		if (_nm_now != _nm_second) {                                                       \
			_nm_second = _nm_now;                                                      \
			_nm_lines = 0;                                                             \
		}                                                                                  \
		if (_nm_lines++ < (_lps))                                                          \
			D(__VA_ARGS__);                                                            \
	} while (0)
#endif

struct nm_desc;

/* One packet as handed to a callback. */
struct nm_pkthdr {
	struct timeval ts;
	uint32_t caplen; /* contiguous bytes at buf */
	uint32_t len;	 /* bytes of the whole packet */
	uint64_t flags;
#define NM_MORE_PKTS 1 /* this call of nm_dispatch delivers at least one more */
	struct nm_desc *d;
	struct netmap_slot *slot; /* the packet's first slot */
	uint8_t *buf;
};

struct nm_stat {
	unsigned int ps_recv;
	unsigned int ps_drop;
	unsigned int ps_ifdrop;
};

#define NM_ERRBUF_SIZE 512

/* An open port. Made by nm_open, freed by nm_close; programs read it, some set the pcap part. */
struct nm_desc {
	struct nm_desc *self; /* points to itself while valid */
	int fd;
	void *mem;
	uint64_t memsize;
	int done_mmap; /* the mapping is this descriptor's own */
	struct netmap_if *nifp;
	uint16_t first_tx_ring, last_tx_ring, cur_tx_ring;
	uint16_t first_rx_ring, last_rx_ring, cur_rx_ring;
	struct nmreq req;
	struct nm_pkthdr hdr;
	struct netmap_ring *some_ring; /* any bound ring; all see the same buffers */
	void *buf_start, *buf_end;
	/* for users that keep pcap's state here */
	int snaplen;
	int promisc;
	int to_ms;
	char *errbuf;
	uint32_t if_flags;
	uint32_t if_reqcap;
	uint32_t if_curcap;
	struct nm_stat st;
	char msg[NM_ERRBUF_SIZE];
};

NETMAP_PIN_SIZE(struct nm_pkthdr, 56);
NETMAP_PIN_OFFSET(struct nm_pkthdr, caplen, 16);
NETMAP_PIN_OFFSET(struct nm_pkthdr, len, 20);
NETMAP_PIN_OFFSET(struct nm_pkthdr, flags, 24);
NETMAP_PIN_OFFSET(struct nm_pkthdr, d, 32);
NETMAP_PIN_OFFSET(struct nm_pkthdr, slot, 40);
NETMAP_PIN_OFFSET(struct nm_pkthdr, buf, 48);
NETMAP_PIN_SIZE(struct nm_stat, 12);
NETMAP_PIN_SIZE(struct nm_desc, 760);
NETMAP_PIN_OFFSET(struct nm_desc, fd, 8);
NETMAP_PIN_OFFSET(struct nm_desc, mem, 16);
NETMAP_PIN_OFFSET(struct nm_desc, memsize, 24);
NETMAP_PIN_OFFSET(struct nm_desc, done_mmap, 32);
NETMAP_PIN_OFFSET(struct nm_desc, nifp, 40);
NETMAP_PIN_OFFSET(struct nm_desc, first_tx_ring, 48);
NETMAP_PIN_OFFSET(struct nm_desc, last_tx_ring, 50);
NETMAP_PIN_OFFSET(struct nm_desc, cur_tx_ring, 52);
NETMAP_PIN_OFFSET(struct nm_desc, first_rx_ring, 54);
NETMAP_PIN_OFFSET(struct nm_desc, last_rx_ring, 56);
NETMAP_PIN_OFFSET(struct nm_desc, cur_rx_ring, 58);
NETMAP_PIN_OFFSET(struct nm_desc, req, 60);
NETMAP_PIN_OFFSET(struct nm_desc, hdr, 120);
NETMAP_PIN_OFFSET(struct nm_desc, some_ring, 176);
NETMAP_PIN_OFFSET(struct nm_desc, buf_start, 184);
NETMAP_PIN_OFFSET(struct nm_desc, buf_end, 192);
NETMAP_PIN_OFFSET(struct nm_desc, snaplen, 200);
NETMAP_PIN_OFFSET(struct nm_desc, promisc, 204);
NETMAP_PIN_OFFSET(struct nm_desc, to_ms, 208);
NETMAP_PIN_OFFSET(struct nm_desc, errbuf, 216);
NETMAP_PIN_OFFSET(struct nm_desc, if_flags, 224);
NETMAP_PIN_OFFSET(struct nm_desc, if_reqcap, 228);
NETMAP_PIN_OFFSET(struct nm_desc, if_curcap, 232);
NETMAP_PIN_OFFSET(struct nm_desc, st, 236);
NETMAP_PIN_OFFSET(struct nm_desc, msg, 248);

#define P2NMD(_p)	   ((const struct nm_desc *)(_p))
#define IS_NETMAP_DESC(_d) ((_d) && P2NMD(_d)->self == P2NMD(_d))
#define NETMAP_FD(_d)	   (P2NMD(_d)->fd)

/*
 * Flags of nm_open. The low 16 bits are NETMAP_NO_TX_POLL and NETMAP_DO_RX_POLL;
 * these say what to take from the parent descriptor instead of the request.
 */
enum {
	NM_OPEN_NO_MMAP = 0x040000, /* don't map; a parent's mapping is still shared */
	NM_OPEN_IFNAME = 0x080000,  /* nr_name, nr_ringid, nr_flags */
	NM_OPEN_ARG1 = 0x100000,
	NM_OPEN_ARG2 = 0x200000,
	NM_OPEN_ARG3 = 0x400000,
	NM_OPEN_RING_CFG = 0x800000, /* numbers of rings and slots */
};

typedef void (*nm_cb_t)(unsigned char *, const struct nm_pkthdr *, const unsigned char *d);

static inline int nm_is_identifier(const char *s, const char *end)
{
	for (; s != end; s++) {
		char c = *s;

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_'))
			return 0;
	}
	return 1;
}

/* Reads a decimal number of at most max; advances *s past it. Returns it, or -1. */
static inline long nm_parse_number(const char **s, long max)
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

static inline int nm_parse_fail(char *errmsg, const char *text, const char *ifname)
{
	if (errmsg)
		snprintf(errmsg, NM_ERRBUF_SIZE, "%s in port name '%.64s'", text, ifname);
	errno = EINVAL;
	return -1;
}

/* The flag letters after '/'. Returns their NR_* bits and advances *s, or 0 if there is none. */
static inline uint32_t nm_parse_flags(const char **s)
{
	uint32_t flags = 0;

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

/* The mode after the name ("-3", "{1", ...). Returns the mode, or -1; fills *ringid. */
static inline int nm_parse_mode(const char **s, uint16_t *ringid)
{
	long ring;
	int mode;

	*ringid = 0;
	switch (**s) {
	case '^':
		(*s)++;
		return NR_REG_SW;
	case '*':
		(*s)++;
		return NR_REG_NIC_SW;
	case '-':
		mode = NR_REG_ONE_NIC;
		break;
	case '{':
		mode = NR_REG_PIPE_MASTER;
		break;
	case '}':
		mode = NR_REG_PIPE_SLAVE;
		break;
	default:
		return NR_REG_ALL_NIC;
	}
	(*s)++;
	ring = nm_parse_number(s, NETMAP_RING_MASK - 1);
	if (ring < 0)
		return -1;
	*ringid = (uint16_t)ring;
	return mode;
}

/*
 * Parses a port name of nm_open's grammar (section 11.2) into d->req: nr_name, nr_ringid,
 * nr_flags and, if given, nr_arg2. Returns 0, or -1 with errno EINVAL, d untouched and a
 * message in errmsg (NM_ERRBUF_SIZE bytes, or NULL). A name that is neither "netmap:" nor
 * "vale": -1 with errno 0, so that callers can try something else.
 */
static inline int nm_parse(const char *ifname, struct nm_desc *d, char *errmsg)
{
	const char *name = ifname, *end, *colon, *scan;
	uint32_t flags = 0;
	uint16_t ringid;
	long memid = 0;
	int mode, seen_flags = 0;

	if (strncmp(ifname, "netmap:", 7) != 0 && strncmp(ifname, NM_BDG_NAME, 4) != 0) {
		if (errmsg)
			snprintf(errmsg, NM_ERRBUF_SIZE,
				 "'%.64s' starts neither with netmap: nor with vale", ifname);
		errno = 0;
		return -1;
	}
	if (*ifname == 'n')
		name += 7;
	end = name + strcspn(name, "-*^{}/@");
	if (name != ifname) {
		if (end == name)
			return nm_parse_fail(errmsg, "no interface", ifname);
	} else {
		colon = strchr(ifname, ':');
		if (!colon || colon >= end || colon + 1 == end)
			return nm_parse_fail(errmsg, "no port after the switch", ifname);
		if (!nm_is_identifier(ifname + 4, colon) || !nm_is_identifier(colon + 1, end))
			return nm_parse_fail(errmsg, "bad character", ifname);
	}
	if ((size_t)(end - name) >= sizeof(d->req.nr_name))
		return nm_parse_fail(errmsg, "more than 15 characters", ifname);

	scan = end;
	mode = nm_parse_mode(&scan, &ringid);
	if (mode < 0)
		return nm_parse_fail(errmsg, "missing or bad number", ifname);
	while (*scan) {
		char separator = *scan++;

		if (separator == '/' && !seen_flags) {
			seen_flags = 1;
			flags = nm_parse_flags(&scan);
			if (!flags)
				return nm_parse_fail(errmsg, "no known flag after '/'", ifname);
		} else if (separator == '@' && !memid) {
			memid = nm_parse_number(&scan, 65535);
			if (memid <= 0)
				return nm_parse_fail(errmsg, "bad memory id", ifname);
		} else {
			return nm_parse_fail(errmsg, "unexpected character", ifname);
		}
	}

	memset(d->req.nr_name, 0, sizeof(d->req.nr_name));
	memcpy(d->req.nr_name, name, (size_t)(end - name));
	d->req.nr_ringid = ringid;
	d->req.nr_flags = (uint32_t)mode | flags;
	if (memid)
		d->req.nr_arg2 = (uint16_t)memid;
	return 0;
}

/* The ring, or NULL if this descriptor is not bound to it. */
static inline struct netmap_ring *nm_bound_ring(const struct nm_desc *d, int rx, uint32_t i)
{
	uint32_t slot = i;

	if (rx)
		slot += d->nifp->ni_tx_rings + d->nifp->ni_host_tx_rings;
	return d->nifp->ring_ofs[slot] ? NETMAP_RING_AT(d->nifp, slot) : NULL;
}

/*
 * Maps the region of d, or shares parent's mapping when both are in one region. Returns 0
 * or an errno value. d must be registered; parent may be NULL.
 */
static inline int nm_mmap(struct nm_desc *d, const struct nm_desc *parent)
{
	if (d->mem || d->done_mmap)
		return EINVAL;
	if (IS_NETMAP_DESC(parent) && parent->mem && parent->req.nr_arg2 == d->req.nr_arg2) {
		d->mem = parent->mem;
		d->memsize = parent->memsize;
	} else {
		void *mem;

		d->memsize = d->req.nr_memsize;
		mem = mmap(NULL, d->memsize, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
		if (mem == MAP_FAILED)
			return errno;
		d->mem = mem;
		d->done_mmap = 1;
	}
	d->nifp = NETMAP_IF(d->mem, d->req.nr_offset);
	d->some_ring = nm_bound_ring(d, 1, d->first_rx_ring);
	if (!d->some_ring)
		d->some_ring = nm_bound_ring(d, 0, d->first_tx_ring);
	if (d->some_ring) {
		d->buf_start = NETMAP_BUF(d->some_ring, 0);
		d->buf_end = (char *)d->mem + d->memsize;
	}
	return 0;
}

/* Closes what nm_open gave. A mapping that other descriptors share is theirs no longer: close
 * the descriptor that mapped last. Returns 0, or EINVAL if d is not a valid descriptor. */
static inline int nm_close(struct nm_desc *d)
{
	if (!IS_NETMAP_DESC(d))
		return EINVAL;
	if (d->done_mmap && d->mem)
		munmap(d->mem, d->memsize);
	if (d->fd != -1)
		close(d->fd);
	d->self = NULL;
	free(d);
	return 0;
}

/* First and last ring by mode, as the legacy request has no other way to tell (section 12.2). */
static inline void nm_set_ring_range(struct nm_desc *d)
{
	uint16_t tx = d->req.nr_tx_rings, rx = d->req.nr_rx_rings;

	switch (d->req.nr_flags & NR_REG_MASK) {
	case NR_REG_SW:
		d->first_tx_ring = d->last_tx_ring = tx;
		d->first_rx_ring = d->last_rx_ring = rx;
		break;
	case NR_REG_ALL_NIC:
		d->last_tx_ring = tx ? tx - 1 : 0;
		d->last_rx_ring = rx ? rx - 1 : 0;
		break;
	case NR_REG_NIC_SW:
		d->last_tx_ring = tx;
		d->last_rx_ring = rx;
		break;
	case NR_REG_ONE_NIC:
		d->first_tx_ring = d->last_tx_ring = d->req.nr_ringid & NETMAP_RING_MASK;
		d->first_rx_ring = d->last_rx_ring = d->req.nr_ringid & NETMAP_RING_MASK;
		/* valid in one direction only: the other one got ring 0 */
		if (d->first_tx_ring >= tx)
			d->first_tx_ring = d->last_tx_ring = 0;
		if (d->first_rx_ring >= rx)
			d->first_rx_ring = d->last_rx_ring = 0;
		break;
	default: /* pipes: one ring pair */
		break;
	}
	d->cur_tx_ring = d->first_tx_ring;
	d->cur_rx_ring = d->first_rx_ring;
}

/* What NM_OPEN_* asks to take from the parent. */
static inline void nm_inherit(struct nm_desc *d, const struct nm_desc *parent, uint64_t flags)
{
	if (flags & NM_OPEN_IFNAME) {
		memcpy(d->req.nr_name, parent->req.nr_name, sizeof(d->req.nr_name));
		d->req.nr_ringid = parent->req.nr_ringid;
		d->req.nr_flags = parent->req.nr_flags;
	}
	if (flags & NM_OPEN_ARG1)
		d->req.nr_arg1 = parent->req.nr_arg1;
	if (flags & NM_OPEN_ARG2)
		d->req.nr_arg2 = parent->req.nr_arg2;
	if (flags & NM_OPEN_ARG3)
		d->req.nr_arg3 = parent->req.nr_arg3;
	if (flags & NM_OPEN_RING_CFG) {
		d->req.nr_tx_slots = parent->req.nr_tx_slots;
		d->req.nr_rx_slots = parent->req.nr_rx_slots;
		d->req.nr_tx_rings = parent->req.nr_tx_rings;
		d->req.nr_rx_rings = parent->req.nr_rx_rings;
	}
}

/*
 * Opens, registers and maps a port. req: wishes (rings, slots, nr_arg*), or NULL. flags:
 * NM_OPEN_* and the low 16 bits for nr_ringid. arg: a descriptor to take settings and the
 * mapping from, or NULL; it must outlive the new one if the mapping is shared. Returns a
 * descriptor to be closed with nm_close, or NULL with errno (0: not a netmap name).
 */
static inline struct nm_desc *nm_open(const char *ifname, const struct nmreq *req, uint64_t flags,
				      const struct nm_desc *arg)
{
	const struct nm_desc *parent = IS_NETMAP_DESC(arg) ? arg : NULL;
	struct nm_desc *d = (struct nm_desc *)calloc(1, sizeof(*d));
	int error;

	if (!d) {
		errno = ENOMEM;
		return NULL;
	}
	d->self = d;
	d->fd = -1;
	if (req)
		d->req = *req;
	if (nm_parse(ifname, d, d->msg)) {
		error = errno;
		goto fail;
	}
	if (parent)
		nm_inherit(d, parent, flags);
	d->req.nr_version = NETMAP_API;
	d->req.nr_cmd = 0;
	d->req.nr_ringid &= NETMAP_RING_MASK;
	d->req.nr_ringid |= flags & (NETMAP_NO_TX_POLL | NETMAP_DO_RX_POLL);

	d->fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (d->fd < 0 || ioctl(d->fd, NIOCREGIF, &d->req)) {
		error = errno;
		goto fail;
	}
	nm_set_ring_range(d);
	if (!(flags & NM_OPEN_NO_MMAP) || parent) {
		error = nm_mmap(d, parent);
		if (error)
			goto fail;
	}
	return d;
fail:
	nm_close(d);
	errno = error;
	return NULL;
}

/*
 * Queues one packet of size bytes on the first TX ring with room, in several slots if it is
 * longer than a buffer. No system call: the next NIOCTXSYNC or poll sends it. Returns size,
 * or 0 if no ring had room.
 */
static inline int nm_inject(struct nm_desc *d, const void *buf, size_t size)
{
	uint32_t rings = (uint32_t)d->last_tx_ring - d->first_tx_ring + 1, n;

	for (n = 0; n < rings; n++) {
		struct netmap_ring *ring = nm_bound_ring(d, 0, d->cur_tx_ring);
		const char *from = (const char *)buf;
		size_t left = size;
		uint32_t i, most = 0;

		if (ring) /* slot.len has 16 bits, a buffer may have 65536 bytes */
			most = ring->nr_buf_size < 65535 ? ring->nr_buf_size : 65535;
		if (ring && nm_ring_space(ring) > (size ? (size - 1) / most : 0)) {
			for (i = ring->head;; i = nm_ring_next(ring, i)) {
				struct netmap_slot *slot = &ring->slot[i];
				uint32_t part = left < most ? (uint32_t)left : most;

				memcpy(NETMAP_BUF(ring, slot->buf_idx), from, part);
				slot->len = (uint16_t)part;
				from += part;
				left -= part;
				slot->flags = left ? NS_MOREFRAG : 0;
				if (!left)
					break;
			}
			ring->head = ring->cur = nm_ring_next(ring, i);
			return (int)size;
		}
		if (d->cur_tx_ring++ >= d->last_tx_ring)
			d->cur_tx_ring = d->first_tx_ring;
	}
	return 0;
}

/*
 * Describes in d->hdr the packet that starts at ring->head and releases its slots. len is that
 * of all slots, caplen that of the slots whose buffers follow one another in memory.
 */
static inline void nm_take_packet(struct nm_desc *d, struct netmap_ring *ring)
{
	uint32_t i = ring->head;
	struct netmap_slot *slot = &ring->slot[i];
	char *end;
	int contiguous = 1;

	d->hdr.d = d;
	d->hdr.ts = ring->ts;
	d->hdr.flags = 0;
	d->hdr.slot = slot;
	d->hdr.buf = (uint8_t *)NETMAP_BUF_OFFSET(ring, slot);
	d->hdr.len = d->hdr.caplen = slot->len;
	end = (char *)d->hdr.buf + slot->len;
	i = nm_ring_next(ring, i);
	while ((slot->flags & NS_MOREFRAG) && i != ring->tail) {
		slot = &ring->slot[i];
		d->hdr.len += slot->len;
		contiguous = contiguous && NETMAP_BUF_OFFSET(ring, slot) == end;
		if (contiguous) {
			d->hdr.caplen += slot->len;
			end += slot->len;
		}
		i = nm_ring_next(ring, i);
	}
	ring->head = ring->cur = i;
}

/*
 * Calls cb for at most cnt received packets (cnt <= 0: for all that are there) over all RX
 * rings and returns how many. No system call: poll or NIOCRXSYNC before. The packets' memory
 * is the caller's until the next of those.
 */
static inline int nm_dispatch(struct nm_desc *d, int cnt, nm_cb_t cb, unsigned char *arg)
{
	uint32_t rings = (uint32_t)d->last_rx_ring - d->first_rx_ring + 1, n;
	int got = 0;

	d->hdr.buf = NULL;
	for (n = 0; n < rings && (cnt <= 0 || got < cnt); n++) {
		struct netmap_ring *ring = nm_bound_ring(d, 1, d->cur_rx_ring);

		while (ring && !nm_ring_empty(ring) && (cnt <= 0 || got < cnt)) {
			/* One late, so that the last packet is known to be the last. */
			if (d->hdr.buf) {
				d->hdr.flags = NM_MORE_PKTS;
				cb(arg, &d->hdr, d->hdr.buf);
			}
			nm_take_packet(d, ring);
			got++;
		}
		if (cnt > 0 && got == cnt)
			break; /* this ring may have more: start with it next time */
		if (d->cur_rx_ring++ >= d->last_rx_ring)
			d->cur_rx_ring = d->first_rx_ring;
	}
	if (d->hdr.buf) {
		d->hdr.flags = 0;
		cb(arg, &d->hdr, d->hdr.buf);
		d->hdr.buf = NULL;
	}
	return got;
}

/*
 * The next received slot's data, or NULL if there is none; fills hdr. For ports whose packets
 * fit in one buffer. The slot is released at once: the data stay until the next sync.
 */
static inline unsigned char *nm_nextpkt(struct nm_desc *d, struct nm_pkthdr *hdr)
{
	uint32_t rings = (uint32_t)d->last_rx_ring - d->first_rx_ring + 1, n;

	for (n = 0; n < rings; n++) {
		struct netmap_ring *ring = nm_bound_ring(d, 1, d->cur_rx_ring);

		if (ring && !nm_ring_empty(ring)) {
			struct netmap_slot *slot = &ring->slot[ring->head];

			hdr->ts = ring->ts;
			hdr->caplen = hdr->len = slot->len;
			hdr->flags = 0;
			hdr->d = d;
			hdr->slot = slot;
			hdr->buf = (uint8_t *)NETMAP_BUF_OFFSET(ring, slot);
			ring->head = ring->cur = nm_ring_next(ring, ring->head);
			return hdr->buf;
		}
		if (d->cur_rx_ring++ >= d->last_rx_ring)
			d->cur_rx_ring = d->first_rx_ring;
	}
	return NULL;
}

#endif /* NETMAP_WITH_LIBS */
