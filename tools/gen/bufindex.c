/* SPDX-License-Identifier: BSD-2-Clause */
#include "bufindex.h"

#include "message.h"
#include "output.h"
#include "slots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct bufindex {
	FILE *out;
	const char *file;
};

struct bufindex *bufindex_create(const char *file)
{
	struct bufindex *b = calloc(1, sizeof(*b));

	if (!b) {
		complain("out of memory");
		return NULL;
	}
	b->file = file;
	b->out = output_open(file);
	if (b->out)
		return b;
	complain("cannot write buffer indices to %s: %s", file, strerror(errno));
	free(b);
	return NULL;
}

void bufindex_note(struct bufindex *b, const struct netmap_ring *ring, uint32_t first,
		   uint32_t slots)
{
	uint32_t n;

	flockfile(b->out);
	fprintf(b->out, "%u", ring->ringid);
	for (n = 0; n < slots; n++)
		fprintf(b->out, " %u", slot_after(ring, first, n)->buf_idx);
	putc_unlocked('\n', b->out);
	funlockfile(b->out);
}

int bufindex_close(struct bufindex *b)
{
	int failed = fflush(b->out) || ferror(b->out);

	if (failed)
		complain("%s: could not be written in whole (is the disk full?)", b->file);
	fclose(b->out);
	free(b);
	return failed ? -1 : 0;
}
