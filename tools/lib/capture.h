/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capture files (libpcap's formats): frames to replay, read in whole before the start, and
 * frames received, written as they come with nanosecond times.
 */
#ifndef TOOLS_CAPTURE_H
#define TOOLS_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

struct capture_frame {
	size_t offset; /* into data */
	uint32_t len;
	int64_t when; /* ns after the first frame */
};

struct capture {
	uint8_t *data;
	struct capture_frame *frames;
	size_t n;
	size_t cut;	  /* frames of which the file has only the beginning */
	uint32_t largest; /* bytes of the longest frame */
};

/* Reads a file ("-": standard input) of Ethernet frames. 0, or -1 after saying what is wrong. */
int capture_read(struct capture *c, const char *file);
void capture_free(struct capture *c);

struct capture_writer;

/* Creates or truncates file ("-": standard output). NULL after saying what is wrong. */
struct capture_writer *capture_create(const char *file);

/* Adds one frame received at ns since 1970. Any thread. */
void capture_write(struct capture_writer *w, const uint8_t *frame, uint32_t len, int64_t ns);

/* Writes what is left and closes. 0, or -1 after saying that frames are missing in the file. */
int capture_close(struct capture_writer *w);

#endif
