/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the conformance tests share. The tests are an ordinary netmap program: raw system calls and
 * the structures of net/netmap.h, nothing that knows who is behind /dev/netmap. So the same
 * program runs on the host under ptnet-run and in a guest on ptnet.ko.
 *
 * A test is a function that runs in a process of its own, and that process may start more.
 * Names of tests begin with the line of the specification that they are for: letter of the section,
 * number of the line (A to O). P: what "programs rely on" at the end of it; Q: further
 * rules of the programming interface. docs/conformance.md lists them all.
 */
#ifndef PTNET_CONFORMANCE_H
#define PTNET_CONFORMANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NETMAP_WITH_LIBS /* for NETMAP_TXRING() and the like */
#include <net/netmap_user.h>

/* ---- tests ---- */

#define ON_HOST	   1u
#define IN_GUEST   2u
#define EVERYWHERE (ON_HOST | IN_GUEST)
#define WITH_PORTS 4u /* uses port_name and peer_name */

struct test {
	const char *name;
	void (*run)(void);
	unsigned int where;
};

/* Each ends with an entry without a name. */
extern const struct test request_tests[]; /* sections A to D */
extern const struct test vale_tests[];	  /* E, F */
extern const struct test pipe_tests[];	  /* G */
extern const struct test monitor_tests[]; /* H */
extern const struct test option_tests[];  /* I, K, L */
extern const struct test kloop_tests[];	  /* J */
extern const struct test process_tests[]; /* N, O */
extern const struct test program_tests[]; /* P */
extern const struct test api_tests[];	  /* Q */

/*
 * Two ports that are alone on a switch, with PORT_RINGS ring pairs of PORT_SLOTS slots: interfaces
 * in a guest, persistent VALE ports made for this test on the host.
 */
#define PORT_RINGS 2
#define PORT_SLOTS 1024
extern const char *port_name, *peer_name;
extern bool in_guest;

/*
 * A name of this test's own, which no other test uses at the same time: PATTERN with "~" replaced
 * by at most five letters and digits. Never freed.
 */
const char *own(const char *pattern);

/* The switch of port_name and peer_name, on the host: "valeX". */
const char *ports_switch(void);

/* ---- reporting: what was wanted, what came; a failed check does not end the test ---- */

void check_equal(const char *what, long long wanted, long long got);
/* @result is a system call's; @error what errno must be then, 0 for success. */
void check_call(const char *what, int error, long result);
/* For what has to work before anything else can be checked: ends the test if it doesn't. */
void end_test(const char *what) __attribute__((noreturn));
static inline void need(bool ok, const char *what)
{
	if (!ok)
		end_test(what);
}
bool checks_failed(void);

/* ---- requests ---- */

int open_netmap(void);
struct nmreq_header header(const char *name, uint16_t type, void *body);
int request(int fd, const char *name, uint16_t type, void *body);
int request_with(int fd, const char *name, uint16_t type, void *body, void *options);
/* On a descriptor of its own. */
int request_once(const char *name, uint16_t type, void *body);
/* REGISTER; the reply is left in @reg. */
int bind_rings(int fd, const char *name, uint32_t mode, uint16_t ring, uint64_t flags,
	       struct nmreq_register *reg);
/* Whether the reply to REGISTER has what it must have of the request: "echo" in the specification.
 */
void check_echo(const char *what, const struct nmreq_register *asked,
		const struct nmreq_register *got);
/* NEWIF with this many ring pairs and slots, default where 0. */
int new_port(const char *name, uint16_t rings, uint32_t slots);
int remove_port(const char *name);
int attach_port(const char *name, uint32_t *index);
int detach_port(const char *name, uint32_t *index);

/* ---- bound ports ---- */

struct bound {
	int fd;
	struct nmreq_register reg;
	char *memory;
	struct netmap_if *nifp;
};

/* Bind with wishes, flags and mode as in @reg, and map; ends the test if either fails. */
struct bound bind_as(const char *name, struct nmreq_register reg);
/* All rings of the port. */
struct bound bind_and_map(const char *name, uint64_t flags);
/* Map what is bound already: fills in memory and nifp. */
void map_bound(struct bound *b);
void unbind(struct bound *b);

int poll_now(int fd, short events, int ms);
int tx_sync(const struct bound *b);
int rx_sync(const struct bound *b);

/* ---- packets ---- */

struct mac {
	uint8_t bytes[6];
};
extern const struct mac broadcast;
/* A locally administered address that ends with @number. */
struct mac mac(uint8_t number);

#define MAX_PACKET 65536

/* An Ethernet frame of @len bytes (14 at least), whose content follows from @number. */
void make_packet(uint8_t *bytes, size_t len, struct mac to, struct mac from, uint32_t number);
/*
 * Put a packet into the ring at head, at most @chunk bytes into a slot, and advance head and cur.
 * False, and nothing done, if there is no room.
 */
bool put_bytes(struct netmap_ring *tx, const uint8_t *bytes, size_t len, size_t chunk);
bool put_packet(struct netmap_ring *tx, size_t len, struct mac to, struct mac from,
		uint32_t number);
/*
 * Put so many packets of 200 bytes, 201 and so on into TX ring 0, each in a buffer from the list of
 * extra buffers, on which the slot's own buffer goes in exchange. The buffers' indices are left in
 * @sent, if given.
 */
void put_extra_buffers(struct bound *b, unsigned int count, uint32_t *sent);
/* Take the packet at head, and advance head and cur: its length, -1 if there is none. */
ssize_t take_bytes(struct netmap_ring *rx, uint8_t *bytes);
/* Take a packet; it must be what make_packet() makes with these. */
void check_packet(const char *what, struct netmap_ring *rx, size_t len, struct mac to,
		  struct mac from, uint32_t number);
/* Whole packets between head and tail. */
unsigned int packets_in(const struct netmap_ring *rx);
/*
 * Wait until so many packets are visible at once, with NIOCRXSYNC as the receiver of line 74 does,
 * and check that there are no more.
 */
void check_arrived(const char *what, const struct bound *b, unsigned int ring, unsigned int count);
/* Nothing comes, after everything that was sent before has been taken. */
void check_nothing(const char *what, const struct bound *b);
void release_all(struct netmap_ring *rx);
bool buffers_are_distinct(const struct bound *b);

/* ---- processes ---- */

/*
 * Run @body(@channel) in a child, which ends with status 0 if no check failed in it. @channel is
 * one end of a SEQPACKET socket, the other is returned in @channel of the struct.
 */
struct child {
	pid_t pid;
	int channel;
};
struct child start_child(void (*body)(int channel));
/* The child must end by itself, with status 0. */
void end_child(struct child *c, const char *what);
/* kill -9; returns when it is gone. */
void kill_child(struct child *c);
/* One byte as a signal from process to process; what comes must be what is expected. */
void tell(int channel, char byte);
void expect(int channel, char byte);
void send_descriptor(int channel, int fd);
int receive_descriptor(int channel);

#endif /* PTNET_CONFORMANCE_H */
