/* SPDX-License-Identifier: BSD-2-Clause */
/* What a fuzzer was given, taken piece by piece, and how it says that something is wrong. */
#ifndef PTNET_FUZZ_INPUT_H
#define PTNET_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct input {
	const uint8_t *data;
	size_t left;
};

/* The next @bytes, at most 8, as a number, little endian; what is missing at the end is 0. */
static inline uint64_t take(struct input *input, size_t bytes)
{
	uint64_t value = 0;

	if (bytes > input->left)
		bytes = input->left;
	memcpy(&value, input->data, bytes);
	input->data += bytes;
	input->left -= bytes;
	return value;
}

/* False is a crash, which is what libFuzzer looks for. */
static inline void require(bool condition)
{
	if (!condition)
		abort();
}

#endif
