/* SPDX-License-Identifier: BSD-2-Clause */
#include "address.h"

#include "number.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int read_mac(const char *text, uint64_t *value)
{
	unsigned int b[6];
	uint64_t v = 0;
	int used = 0, i;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &used) != 6 ||
	    text[used])
		return -EINVAL;
	for (i = 0; i < 6; i++)
		v = v << 8 | b[i];
	*value = v;
	return 0;
}

static int read_ip(const char *text, uint64_t *value)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		return -EINVAL;
	*value = ntohl(a.s_addr);
	return 0;
}

static int read_port(const char *text, uint64_t *value)
{
	return parse_count(text, 0, 65535, value) ? -EINVAL : 0;
}

static int parse(struct address_range *r, const char *text, int (*read)(const char *, uint64_t *))
{
	char copy[64], *to;
	uint64_t first, last;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return -EINVAL;
	to = strchr(copy, '-');
	if (to)
		*to++ = '\0';
	if (read(copy, &first))
		return -EINVAL;
	last = first;
	if (to && (read(to, &last) || last < first))
		return -EINVAL;
	r->first = first;
	r->count = last - first + 1;
	return 0;
}

int address_parse_mac(struct address_range *r, const char *text)
{
	return parse(r, text, read_mac);
}

int address_parse_ip(struct address_range *r, const char *text)
{
	return parse(r, text, read_ip);
}

int address_parse_port(struct address_range *r, const char *text)
{
	return parse(r, text, read_port);
}
