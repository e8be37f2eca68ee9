/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line.
 */
#ifndef GEN_OPTIONS_H
#define GEN_OPTIONS_H

#include "frame.h"
#include "reporting.h"
#include "size.h"

#define GEN_MAX_THREADS 64

enum gen_function { GEN_TX, GEN_RX, GEN_PING, GEN_PONG };

struct gen_options {
	enum gen_function function;
	char port[128];	       /* with its netmap: or valeX: */
	const char *interface; /* the port as -i gave it */
	/* what to send */
	struct size_distribution size;
	struct frame_addresses addresses;
	bool src_mac_given;
	uint16_t flow;
	uint64_t seed;
	bool payload_check;
	const char *replay;
	uint64_t loops; /* 0: for ever */
	bool timing;
	double speed;
	/* how */
	uint64_t milli_pps; /* 0: as fast as possible */
	uint32_t burst;
	unsigned int threads;
	int first_cpu; /* -1: any */
	bool busy;
	bool zero_copy;
	int vnet_hdr; /* set the port's header length first; -1: leave it */
	/* until when; times in ns, 0: no limit */
	uint64_t count;
	int64_t time;
	int64_t idle_timeout;
	int64_t wait_first;
	int64_t timeout; /* ping: for an answer; tx: for the last slots to be taken */
	/* what to do with what comes */
	bool check;
	bool join;
	const char *capture;
	const char *buf_idx;
	/* what to say */
	struct reporting reporting;
	bool stdout_taken; /* by a capture or buffer indices: text goes to standard error */
};

const char *function_name(enum gen_function f);

/* Fills o. Returns -1 to go on; otherwise the program's exit status, after a message, the help
 * or the version. Strings in o are argv's. */
int options_parse(struct gen_options *o, int argc, char **argv);

#endif
