/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the members of one JSON object that somebody else wrote, and says exactly
 * what is wrong with it: the path of the member, its value, the limit.
 *
 *     struct json_reader reader;
 *     json_reader_open(&reader, value, "ports[2]", error);
 *     json_reader_string(&reader, "name", true, name, sizeof(name));
 *     json_reader_u32(&reader, "slots", &slots, 64, 4096);
 *     return json_reader_close(&reader);
 *
 * The first error stays; what follows does nothing. A member that is absent
 * leaves its destination alone. Members that nobody asked for are an error, which
 * json_reader_close() finds. Nothing is allocated. One thread per reader.
 */
#ifndef PTNET_CONTROL_JSON_READER_H
#define PTNET_CONTROL_JSON_READER_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "log/error.h"

#define JSON_READER_MAX_KEYS 24

struct json_reader {
	const json_t *object;
	const char *path; /* of the object; "" at the top. Must outlive the reader */
	struct error *error;
	int status; /* 0, or the negative errno of the first error */
	unsigned num_known;
	const char *known[JSON_READER_MAX_KEYS];
};

/* @value may be NULL (absent) or of another type: an error. */
void json_reader_open(struct json_reader *reader, const json_t *value, const char *path,
		      struct error *error);

/* Each returns true if the member is there and right. */
bool json_reader_u32(struct json_reader *reader, const char *key, uint32_t *value, uint32_t min,
		     uint32_t max);
bool json_reader_bool(struct json_reader *reader, const char *key, bool *value);
bool json_reader_string(struct json_reader *reader, const char *key, bool required, char *value,
			size_t size);
const json_t *json_reader_array(struct json_reader *reader, const char *key);
const json_t *json_reader_any(struct json_reader *reader, const char *key); /* of any type */
const json_t *json_reader_object(struct json_reader *reader, const char *key);

/* Records an error about the member @key, unless there is one already. */
void json_reader_fail(struct json_reader *reader, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts the member's path in front of what is in reader->error, and keeps it. */
void json_reader_fail_prefix(struct json_reader *reader, const char *key);

/* 0 or -EINVAL. */
int json_reader_close(struct json_reader *reader);

#endif
