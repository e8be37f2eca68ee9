/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/json_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "a whole number";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	default:
		return "null";
	}
}

static const char *separator(const struct json_reader *reader, const char *key)
{
	return reader->path[0] != '\0' && key[0] != '\0' ? "." : "";
}

void json_reader_fail(struct json_reader *reader, const char *key, const char *format, ...)
{
	char text[320];
	va_list args;

	if (reader->status < 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (reader->path[0] == '\0' && key[0] == '\0')
		reader->status = error_set(reader->error, EINVAL, "%s", text);
	else
		reader->status = error_set(reader->error, EINVAL, "%s%s%s: %s", reader->path,
					   separator(reader, key), key, text);
}

void json_reader_fail_prefix(struct json_reader *reader, const char *key)
{
	if (reader->status < 0)
		return;
	reader->status = -EINVAL;
	error_prefix(reader->error, "%s%s%s", reader->path, separator(reader, key), key);
}

void json_reader_open(struct json_reader *reader, const json_t *value, const char *path,
		      struct error *error)
{
	*reader = (struct json_reader){.object = value, .path = path, .error = error};
	if (!json_is_object(value))
		json_reader_fail(reader, "", "must be an object in {}, is %s",
				 value == NULL ? "missing" : type_name(value));
}

/* Notes @key as known; the member, or NULL if it is absent or all is lost already. */
static json_t *member(struct json_reader *reader, const char *key)
{
	if (reader->status < 0)
		return NULL;
	if (reader->num_known == JSON_READER_MAX_KEYS)
		abort(); /* the caller asks for more keys than there is room for */
	reader->known[reader->num_known++] = key;
	return json_object_get(reader->object, key);
}

bool json_reader_u32(struct json_reader *reader, const char *key, uint32_t *value, uint32_t min,
		     uint32_t max)
{
	const json_t *found = member(reader, key);

	if (found == NULL)
		return false;
	if (!json_is_integer(found)) {
		json_reader_fail(reader, key, "must be a whole number from %u to %u, is %s", min,
				 max, type_name(found));
		return false;
	}
	json_int_t number = json_integer_value(found);

	if (number < (json_int_t)min || number > (json_int_t)max) {
		json_reader_fail(reader, key, "%lld is out of range: give %u to %u",
				 (long long)number, min, max);
		return false;
	}
	*value = (uint32_t)number;
	return true;
}

bool json_reader_bool(struct json_reader *reader, const char *key, bool *value)
{
	const json_t *found = member(reader, key);

	if (found == NULL)
		return false;
	if (!json_is_boolean(found)) {
		json_reader_fail(reader, key, "must be true or false, is %s", type_name(found));
		return false;
	}
	*value = json_is_true(found);
	return true;
}

bool json_reader_string(struct json_reader *reader, const char *key, bool required, char *value,
			size_t size)
{
	const json_t *found = member(reader, key);

	if (found == NULL) {
		if (required)
			json_reader_fail(reader, key, "is missing");
		return false;
	}
	if (!json_is_string(found)) {
		json_reader_fail(reader, key, "must be a string, is %s", type_name(found));
		return false;
	}
	if (json_string_length(found) >= size) {
		json_reader_fail(reader, key, "\"%.40s...\" has %zu bytes, at most %zu are allowed",
				 json_string_value(found), json_string_length(found), size - 1);
		return false;
	}
	if (json_string_length(found) == 0) {
		json_reader_fail(reader, key, "must not be empty");
		return false;
	}
	memcpy(value, json_string_value(found), json_string_length(found) + 1);
	return true;
}

const json_t *json_reader_array(struct json_reader *reader, const char *key)
{
	const json_t *found = member(reader, key);

	if (found != NULL && !json_is_array(found)) {
		json_reader_fail(reader, key, "must be an array in [], is %s", type_name(found));
		return NULL;
	}
	return found;
}

const json_t *json_reader_any(struct json_reader *reader, const char *key)
{
	return member(reader, key);
}

const json_t *json_reader_object(struct json_reader *reader, const char *key)
{
	const json_t *found = member(reader, key);

	if (found != NULL && !json_is_object(found)) {
		json_reader_fail(reader, key, "must be an object in {}, is %s", type_name(found));
		return NULL;
	}
	return found;
}

static bool is_known(const struct json_reader *reader, const char *key)
{
	for (unsigned i = 0; i < reader->num_known; i++) {
		if (strcmp(reader->known[i], key) == 0)
			return true;
	}
	return false;
}

static void fail_unknown(struct json_reader *reader, const char *key)
{
	char list[240] = "";
	size_t used = 0;

	for (unsigned i = 0; i < reader->num_known && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 i == 0 ? "" : ", ", reader->known[i]);
	if (reader->num_known == 0)
		json_reader_fail(reader, "", "\"%.40s\" is not known; nothing is expected here",
				 key);
	else
		json_reader_fail(reader, "", "\"%.40s\" is not known here; known are %s", key,
				 list);
}

int json_reader_close(struct json_reader *reader)
{
	const char *key;
	json_t *value;

	if (reader->status < 0)
		return reader->status;
	json_object_foreach((json_t *)reader->object, key, value)
	{
		if (!is_known(reader, key)) {
			fail_unknown(reader, key);
			break;
		}
	}
	return reader->status;
}
