/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capture files (libpcap's formats): frames to replay, read in whole before the start, and
 * frames received, written as they come with nanosecond times.
 */
#ifndef TOOLS_CAPTURE_H
#define TOOLS_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capture_frame {
	size_t offset; /* into data */
	uint32_t len;
	bool cut;     /* the file has only the beginning of it */
	int64_t when; /* ns after the first frame, never less than that of the frame before */
};

struct capture {
	uint8_t *data;
	struct capture_frame *frames;
	size_t n;
	size_t cut;	  /* frames of which the files have only the beginning */
	uint32_t largest; /* bytes of the longest frame */
};

enum capture_order {
	CAPTURE_IN_TURN, /* file after file: each begins one mean distance after the one before */
	CAPTURE_BY_TIME, /* frames of all files in the order of their times */
};

/*
 * Reads n files ("-": standard input) of Ethernet frames into one. Frames of a file stay in its
 * order, also where their times don't: then they have the time of the frame before. Empty ones are
 * left out. 0, or -1 after saying what is wrong.
 */
int capture_read_files(struct capture *c, const char *const *files, size_t n,
		       enum capture_order order);
/* The same with one file. */
int capture_read(struct capture *c, const char *file);
void capture_free(struct capture *c);

/* Makes distances between frames that are longer than ns that long. */
void capture_limit_gaps(struct capture *c, int64_t ns);

/* Leaves out frames that are cut (if no_cut) or longer than longest; says how many there were of
 * either. Times stay. There may be none left. */
struct capture_left_out {
	uint64_t cut, too_long;
};
struct capture_left_out capture_leave_out(struct capture *c, bool no_cut, uint64_t longest);

/* ns from the first frame of one round to the first of the next, when it is played several times.
 */
int64_t capture_period(const struct capture *c);

struct capture_writer;

/* Creates or truncates file ("-": standard output). NULL after saying what is wrong. */
struct capture_writer *capture_create(const char *file);

/* Adds one frame received at ns since 1970. Any thread. */
void capture_write(struct capture_writer *w, const uint8_t *frame, uint32_t len, int64_t ns);

/* Writes what is left and closes. 0, or -1 after saying that frames are missing in the file. */
int capture_close(struct capture_writer *w);

#endif
