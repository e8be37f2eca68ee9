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
	size_t data_room, data_used, frames_room;
	size_t file_start; /* first frame of the file being read */
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

/* In ns since 1970. pcapng has room for times that nothing else has: they are cut to those that
 * pcap knows, so that distances always fit. Opened with nanosecond precision, tv_usec holds
 * nanoseconds.
 */
static int64_t time_of(const struct pcap_pkthdr *h)
{
	int64_t seconds = h->ts.tv_sec;

	seconds = seconds < 0 ? 0 : seconds > UINT32_MAX ? UINT32_MAX : seconds;
	return seconds * INT64_C(1000000000) + h->ts.tv_usec;
}

/* Times are those of the file as yet. */
static int add(struct capture_reader *r, const struct pcap_pkthdr *h, const u_char *bytes)
{
	struct capture *c = r->c;
	int64_t when = time_of(h);
	struct capture_frame *f;

	if (grow((void **)&c->data, &r->data_room, r->data_used + h->caplen, 1) ||
	    grow((void **)&c->frames, &r->frames_room, c->n + 1, sizeof(*c->frames)))
		return complain("out of memory after %zu frames of the capture file", c->n);
	memcpy(c->data + r->data_used, bytes, h->caplen);
	if (c->n > r->file_start && when < c->frames[c->n - 1].when)
		when = c->frames[c->n - 1].when;
	f = &c->frames[c->n++];
	*f = (struct capture_frame){
		.offset = r->data_used,
		.len = h->caplen,
		.cut = h->caplen < h->len,
		.when = when,
	};
	r->data_used += h->caplen;
	c->cut += f->cut;
	if (f->len > c->largest)
		c->largest = f->len;
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
		return complain("%s: after %zu frames: %s", file, r->c->n - r->file_start,
				pcap_geterr(pcap));
	if (r->c->n == r->file_start)
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

static int read_file(struct capture_reader *r, const char *file)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap;
	int result;

	pcap = pcap_open_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error);
	if (!pcap)
		return complain("cannot read the capture file %s: %s", file,
				without_name(error, file));
	r->file_start = r->c->n;
	result = read_frames(r, pcap, file);
	pcap_close(pcap);
	return result;
}

/* The sum of two times, neither of which is negative. */
static int64_t later(int64_t when, int64_t by)
{
	return by < INT64_MAX - when ? when + by : INT64_MAX;
}

/* Mean distance of frames first to end - 1, whose first is at 0. */
static int64_t mean_distance(const struct capture *c, size_t first, size_t end)
{
	if (end - first < 2)
		return 0;
	return (c->frames[end - 1].when - c->frames[first].when) / (int64_t)(end - first - 1);
}

/* Shifts a file's frames so that the first is at when. */
static void shift_file(struct capture_reader *r, int64_t when)
{
	struct capture *c = r->c;
	int64_t first = c->frames[r->file_start].when;
	size_t i;

	for (i = r->file_start; i < c->n; i++)
		c->frames[i].when = later(c->frames[i].when - first, when);
}

static int compare_times(const void *a, const void *b)
{
	const struct capture_frame *x = a, *y = b;

	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	return x->offset < y->offset ? -1 : 1; /* as they were read */
}

static void sort_by_time(struct capture *c)
{
	int64_t first;
	size_t i;

	qsort(c->frames, c->n, sizeof(*c->frames), compare_times);
	first = c->frames[0].when;
	for (i = 0; i < c->n; i++)
		c->frames[i].when -= first;
}

int capture_read_files(struct capture *c, const char *const *files, size_t n,
		       enum capture_order order)
{
	struct capture_reader r = {.c = c};
	int64_t next = 0;
	size_t i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < n; i++) {
		if (read_file(&r, files[i])) {
			capture_free(c);
			return -1;
		}
		if (order != CAPTURE_IN_TURN)
			continue;
		shift_file(&r, next);
		next = later(c->frames[c->n - 1].when, mean_distance(c, r.file_start, c->n));
	}
	if (order == CAPTURE_BY_TIME)
		sort_by_time(c);
	return 0;
}

int capture_read(struct capture *c, const char *file)
{
	return capture_read_files(c, &file, 1, CAPTURE_IN_TURN);
}

void capture_limit_gaps(struct capture *c, int64_t ns)
{
	int64_t cut_off = 0, before = 0;
	size_t i;

	for (i = 0; i < c->n; i++) {
		int64_t when = c->frames[i].when;

		if (i && when - before > ns)
			cut_off += when - before - ns;
		before = when;
		c->frames[i].when = when - cut_off;
	}
}

struct capture_left_out capture_leave_out(struct capture *c, bool no_cut, uint64_t longest)
{
	struct capture_left_out out = {0};
	size_t i, kept = 0;

	c->largest = 0;
	c->cut = 0;
	for (i = 0; i < c->n; i++) {
		struct capture_frame f = c->frames[i];

		if (f.cut && no_cut) {
			out.cut++;
			continue;
		}
		if (f.len > longest) {
			out.too_long++;
			continue;
		}
		c->cut += f.cut;
		c->largest = f.len > c->largest ? f.len : c->largest;
		c->frames[kept++] = f;
	}
	c->n = kept;
	return out;
}

int64_t capture_period(const struct capture *c)
{
	return c->n ? later(c->frames[c->n - 1].when, mean_distance(c, 0, c->n)) : 0;
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
