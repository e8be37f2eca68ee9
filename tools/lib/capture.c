/* SPDX-License-Identifier: BSD-2-Clause */
#include "capture.h"

#include "message.h"
#include "output.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SNAPLEN 262144 /* the largest that every reader accepts */

struct capture_reader {
	struct capture *c;
	size_t data_room, frames_room;
	int64_t first;
};

/* Doubles an array until it holds at least need elements of size bytes. */
static int grow(void **array, size_t *room, size_t need, size_t size)
{
	size_t more = *room ? *room : 4096;
	void *p;

	if (need <= *room)
		return 0;
	while (more < need)
		more *= 2;
	p = realloc(*array, more * size);
	if (!p)
		return -1;
	*array = p;
	*room = more;
	return 0;
}

static int add(struct capture_reader *r, const struct pcap_pkthdr *h, const u_char *bytes)
{
	struct capture *c = r->c;
	/* Opened with nanosecond precision, so tv_usec holds nanoseconds. */
	int64_t when = h->ts.tv_sec * INT64_C(1000000000) + h->ts.tv_usec;
	size_t used = c->n ? c->frames[c->n - 1].offset + c->frames[c->n - 1].len : 0;

	if (grow((void **)&c->data, &r->data_room, used + h->caplen, 1) ||
	    grow((void **)&c->frames, &r->frames_room, c->n + 1, sizeof(*c->frames)))
		return complain("out of memory after %zu frames of the capture file", c->n);
	if (!c->n)
		r->first = when;
	memcpy(c->data + used, bytes, h->caplen);
	c->frames[c->n].offset = used;
	c->frames[c->n].len = h->caplen;
	c->frames[c->n].when = when > r->first ? when - r->first : 0;
	c->n++;
	c->cut += h->caplen < h->len;
	if (h->caplen > c->largest)
		c->largest = h->caplen;
	return 0;
}

static int read_frames(struct capture_reader *r, pcap_t *pcap, const char *file)
{
	struct pcap_pkthdr *h;
	const u_char *bytes;
	int result;

	if (pcap_datalink(pcap) != DLT_EN10MB)
		return complain("%s: holds %s packets, not Ethernet frames: capture on an Ethernet "
				"interface",
				file, pcap_datalink_val_to_description_or_dlt(pcap_datalink(pcap)));
	while ((result = pcap_next_ex(pcap, &h, &bytes)) == 1) {
		if (h->caplen && add(r, h, bytes))
			return -1;
	}
	if (result == PCAP_ERROR)
		return complain("%s: after %zu frames: %s", file, r->c->n, pcap_geterr(pcap));
	if (!r->c->n)
		return complain("%s: holds no frame", file);
	return 0;
}

/* libpcap puts the file's name in front of some of its messages. */
static const char *without_name(const char *message, const char *file)
{
	size_t length = strlen(file);

	return !strncmp(message, file, length) && !strncmp(message + length, ": ", 2)
		       ? message + length + 2
		       : message;
}

int capture_read(struct capture *c, const char *file)
{
	struct capture_reader r = {.c = c};
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap;
	int result;

	memset(c, 0, sizeof(*c));
	pcap = pcap_open_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error);
	if (!pcap)
		return complain("cannot read the capture file %s: %s", file,
				without_name(error, file));
	result = read_frames(&r, pcap, file);
	pcap_close(pcap);
	if (result)
		capture_free(c);
	return result;
}

void capture_free(struct capture *c)
{
	free(c->data);
	free(c->frames);
	memset(c, 0, sizeof(*c));
}

struct capture_writer {
	pthread_mutex_t lock;
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	const char *file;
};

/* Sets w->dumper, which owns the file's descriptor from then on. */
static int open_dumper(struct capture_writer *w)
{
	FILE *out = output_open(w->file);

	if (!out)
		return complain("cannot write the capture file %s: %s", w->file, strerror(errno));
	w->dumper = pcap_dump_fopen(w->pcap, out);
	if (w->dumper)
		return 0;
	complain("cannot write the capture file %s: %s", w->file, pcap_geterr(w->pcap));
	fclose(out);
	return -1;
}

struct capture_writer *capture_create(const char *file)
{
	struct capture_writer *w = calloc(1, sizeof(*w));

	if (!w) {
		complain("out of memory");
		return NULL;
	}
	w->file = file;
	w->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SNAPLEN,
						       PCAP_TSTAMP_PRECISION_NANO);
	if (!w->pcap) {
		complain("out of memory");
		free(w);
		return NULL;
	}
	if (open_dumper(w)) {
		pcap_close(w->pcap);
		free(w);
		return NULL;
	}
	pthread_mutex_init(&w->lock, NULL);
	return w;
}

void capture_write(struct capture_writer *w, const uint8_t *frame, uint32_t len, int64_t ns)
{
	struct pcap_pkthdr h = {.caplen = len, .len = len};

	h.ts.tv_sec = ns / 1000000000;
	h.ts.tv_usec = ns % 1000000000;
	pthread_mutex_lock(&w->lock);
	pcap_dump((u_char *)w->dumper, &h, frame);
	pthread_mutex_unlock(&w->lock);
}

int capture_close(struct capture_writer *w)
{
	FILE *f = pcap_dump_file(w->dumper);
	int failed = fflush(f) || ferror(f);

	if (failed)
		complain("%s: could not be written in whole (is the disk full?)", w->file);
	pcap_dump_close(w->dumper);
	pcap_close(w->pcap);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return failed ? -1 : 0;
}
