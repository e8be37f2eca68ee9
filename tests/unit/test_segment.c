/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checksums and segmentation by themselves: every shape of packet cut at every interesting place,
 * and headers that lie. What is read is allocated exactly, so that a sanitizer sees a byte too
 * many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"
#include "port/checksum.h"
#include "port/segment.h"
#include "port/vnet_header.h"
#include "random.h"

/* ---- checksums ---- */

/* A word in the machine's order, as two bytes in memory, as a number in network order. */
static uint16_t in_network_order(uint16_t word)
{
	uint8_t bytes[2];

	memcpy(bytes, &word, sizeof(bytes));
	return packet_get16(bytes);
}

/* RFC 1071, section 3. */
static void the_example_of_the_standard(void **state)
{
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	uint64_t sum = checksum_add(0, data, sizeof(data));

	(void)state;
	assert_int_equal(in_network_order(checksum_fold(sum)), 0xddf2);
	assert_int_equal(in_network_order(checksum_finish(sum)), 0x220d);
	assert_int_equal(slow_sum(data, sizeof(data)), 0xddf2);
}

static void any_length_and_place(void **state)
{
	struct random random;

	(void)state;
	random_start(&random, "checksum");
	assert_int_equal(checksum_add(5, NULL, 0), 5);
	for (size_t len = 1; len < 200; len++) {
		for (size_t offset = 0; offset < 9; offset++) {
			uint8_t *data = malloc(offset + len);

			for (size_t i = 0; i < len; i++)
				data[offset + i] = (uint8_t)random_below(&random, 256);
			assert_int_equal(in_network_order(checksum_fold(
						 checksum_add(0, data + offset, len))),
					 slow_sum(data + offset, len));
			free(data);
		}
	}
}

static void pieces_add_up(void **state)
{
	uint8_t data[300];
	struct random random;

	(void)state;
	random_start(&random, "pieces");
	for (unsigned round = 0; round < 5000; round++) {
		size_t done = 0, len = 1 + random_below(&random, sizeof(data));
		uint64_t sum = 0;

		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)random_below(&random, 256);
		while (done < len) {
			size_t piece = 1 + random_below(&random, (uint32_t)(len - done));
			uint64_t more = checksum_add(0, data + done, piece);

			sum += done % 2 == 0 ? more : checksum_swap(more);
			done += piece;
		}
		assert_int_equal(in_network_order(checksum_fold(sum)), slow_sum(data, len));
	}
}

static void carries_are_not_lost(void **state)
{
	static uint8_t data[1 << 20];
	uint64_t sum = 0;

	(void)state;
	memset(data, 0xff, sizeof(data));
	for (size_t len = sizeof(data) - 40; len <= sizeof(data); len++)
		assert_int_equal(in_network_order(checksum_fold(checksum_add(0, data, len))),
				 slow_sum(data, len));
	for (unsigned i = 0; i < 64; i++)
		sum = checksum_add(sum, data, sizeof(data));
	assert_int_equal(checksum_fold(sum), 0xffff);
	assert_int_equal(checksum_finish(sum), 0);
	assert_int_equal(checksum_fold(0), 0);
	assert_int_equal(checksum_fold(0x10000), 1);
	assert_int_equal(checksum_fold(UINT64_MAX), 0xffff);
}

/* ---- virtio-net headers ---- */

static void headers_are_little_endian(void **state)
{
	static const uint8_t bytes[] = {1, 0x84, 0x34, 0x12, 0x78, 0x56, 0xbc, 0x9a, 0xf0, 0xde};
	struct vnet_header header = vnet_header_read(bytes);

	(void)state;
	assert_int_equal(header.flags, 1);
	assert_int_equal(header.gso_type, 0x84);
	assert_int_equal(header.hdr_len, 0x1234);
	assert_int_equal(header.gso_size, 0x5678);
	assert_int_equal(header.csum_start, 0x9abc);
	assert_int_equal(header.csum_offset, 0xdef0);
	assert_true(vnet_header_len_valid(0) && vnet_header_len_valid(10));
	assert_true(vnet_header_len_valid(12));
	for (uint32_t len = 1; len < 300; len++)
		if (len != 10 && len != 12)
			assert_false(vnet_header_len_valid(len));
	assert_false(vnet_header_len_valid(UINT32_MAX));
}

static void what_is_not_known(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 256; flags++) {
		for (unsigned gso = 0; gso < 256; gso++) {
			struct vnet_header header = {.flags = (uint8_t)flags,
						     .gso_type = (uint8_t)gso};
			unsigned type = gso & 0x7f;

			assert_int_equal(
				vnet_header_known(&header),
				flags < 4 && (type == 0 || type == 1 || type == 3 || type == 4));
		}
	}
}

/* ---- segmentation ---- */

static unsigned gso_of(const struct packet_shape *shape)
{
	return shape->udp ? VNET_GSO_UDP : shape->ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
}

/* As the switch does it, for a packet whose first fragment is @first bytes long. */
static int cut(struct segmentation *segmentation, unsigned gso, const uint8_t *packet, size_t first,
	       size_t len, size_t limit)
{
	uint8_t *exact = malloc(first);

	memcpy(exact, packet, first);
	int result = segmentation_begin(segmentation, gso, exact, (uint32_t)first, (uint32_t)len,
					(uint32_t)limit);
	free(exact);
	return result;
}

static void write_segment(const struct segmentation *segmentation, const uint8_t *packet,
			  uint32_t index, uint8_t *to, size_t *len)
{
	uint32_t payload = segmentation_payload(segmentation, index);
	const uint8_t *from =
		packet + segmentation->headers_len + (size_t)index * segmentation->per_segment;

	memcpy(to + segmentation->headers_len, from, payload);
	segmentation_write_headers(segmentation, index, checksum_add(0, from, payload), to);
	*len = segmentation->headers_len + payload;
}

static void check_segments(const struct packet_shape *shape, const uint8_t *packet, size_t len,
			   size_t first, size_t limit)
{
	struct packet_layout layout = packet_layout(shape);
	size_t per = limit - layout.payload, payload = len - layout.payload, done = 0;
	struct segmentation segmentation;

	assert_int_equal(cut(&segmentation, gso_of(shape), packet, first, len, limit), 0);
	assert_int_equal(segmentation.headers_len, layout.payload);
	assert_int_equal(segmentation.payload, payload);
	assert_int_equal(segmentation.count, payload == 0 ? 1 : (payload + per - 1) / per);
	for (uint32_t i = 0; i < segmentation.count; i++) {
		uint8_t *segment = malloc(layout.payload + segmentation_payload(&segmentation, i));
		size_t segment_len;

		write_segment(&segmentation, packet, i, segment, &segment_len);
		assert_true(segment_len <= limit);
		const char *wrong = packet_segment_wrong(packet, len, segment, segment_len, i, per);
		if (wrong != NULL)
			fail_msg("segment %u of %u, limit %zu, %zu bytes: wrong %s", i,
				 segmentation.count, limit, len, wrong);
		done += segment_len - layout.payload;
		free(segment);
	}
	assert_int_equal(done, payload);
}

static void every_shape_is_cut_right(void **state)
{
	static uint8_t packet[3000];

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		for (unsigned vlans = 0; vlans < 4; vlans++) {
			for (unsigned ip_options = 0; ip_options <= 40; ip_options += 20) {
				for (unsigned tcp_options = 0; tcp_options <= 40;
				     tcp_options += 4) {
					struct packet_shape shape = {.vlans = vlans,
								     .ipv6 = kind % 2 == 1,
								     .udp = kind / 2 == 1,
								     .ip_options = ip_options,
								     .tcp_options = tcp_options};
					size_t headers = packet_layout(&shape).payload;
					size_t len = packet_build(packet, &shape, 2000, 2, 1,
								  vlans + tcp_options);

					check_segments(&shape, packet, len, len, 1514);
					check_segments(&shape, packet, len, headers, 500);
				}
			}
		}
	}
}

static void every_limit(void **state)
{
	static uint8_t packet[1000];

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct packet_shape shape = {.ipv6 = kind % 2 == 1, .udp = kind / 2 == 1};
		size_t headers = packet_layout(&shape).payload;
		size_t len = packet_build(packet, &shape, 300, 2, 1, kind);
		struct segmentation segmentation;

		for (size_t limit = 0; limit <= headers; limit++)
			assert_int_equal(
				cut(&segmentation, gso_of(&shape), packet, len, len, limit),
				-EMSGSIZE);
		for (size_t limit = headers + 1; limit <= len + 10; limit++)
			check_segments(&shape, packet, len, len, limit);
		/* Odd and even lengths, none at all. */
		for (size_t payload = 0; payload < 70; payload++) {
			len = packet_build(packet, &shape, payload, 2, 1, (unsigned)payload);
			check_segments(&shape, packet, len, headers, headers + 33);
		}
		/* Without payload, the headers need no more than their own room. */
		len = packet_build(packet, &shape, 0, 2, 1, 5);
		check_segments(&shape, packet, len, len, headers);
		assert_int_equal(cut(&segmentation, gso_of(&shape), packet, len, len, headers - 1),
				 -EMSGSIZE);
	}
}

static void a_packet_of_64_kb(void **state)
{
	static uint8_t packet[66000];

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct packet_shape shape = {
			.ipv6 = kind % 2 == 1, .udp = kind / 2 == 1, .vlans = 1};
		size_t headers = packet_layout(&shape).payload;
		size_t len = packet_build(packet, &shape, 65554 - headers, 2, 1, kind);

		check_segments(&shape, packet, len, 2048, 1514);
		check_segments(&shape, packet, len, headers, 65535);
		check_segments(&shape, packet, len, headers, 9014);
	}
}

/* Numbers that wrap, and flags that belong to the first or to the last segment. */
static void numbers_and_flags(void **state)
{
	static uint8_t packet[3000], segment[3000];
	struct packet_shape shape = {0};
	struct packet_layout layout = packet_layout(&shape);
	size_t len = packet_build(packet, &shape, 2500, 2, 1, 7), segment_len;
	struct segmentation segmentation;

	(void)state;
	for (unsigned flags = 0; flags < 256; flags++) {
		packet_put16(packet + layout.ip + 4, 0xffff);
		packet_put32(packet + layout.transport + 4, 0xfffffe00);
		packet[layout.transport + 13] = (uint8_t)flags;
		check_segments(&shape, packet, len, len, 1054);
		assert_int_equal(
			cut(&segmentation, VNET_GSO_TCPV4 | VNET_GSO_ECN, packet, len, len, 1054),
			0);
		assert_int_equal(segmentation.count, 3);
		write_segment(&segmentation, packet, 0, segment, &segment_len);
		assert_int_equal(segment[layout.transport + 13], flags & ~0x09u);
		write_segment(&segmentation, packet, 1, segment, &segment_len);
		assert_int_equal(packet_get16(segment + layout.ip + 4), 0);
		assert_int_equal(packet_get32(segment + layout.transport + 4), 0x1e8);
		assert_int_equal(segment[layout.transport + 13], flags & ~0x89u);
		write_segment(&segmentation, packet, 2, segment, &segment_len);
		assert_int_equal(segment_len, 554);
		assert_int_equal(packet_get16(segment + layout.ip + 2), 540);
		assert_int_equal(packet_get16(segment + layout.ip + 4), 1);
		assert_int_equal(packet_get32(segment + layout.transport + 4), 0x5d0);
		assert_int_equal(segment[layout.transport + 13], flags & ~0x80u);
	}
}

/* 0 in a UDP packet would say that there is no checksum. */
static void a_udp_checksum_is_never_zero(void **state)
{
	struct packet_shape shape = {.udp = true};
	struct packet_layout layout = packet_layout(&shape);
	uint8_t packet[100], segment[100];
	struct segmentation segmentation;
	size_t segment_len, len = packet_build(packet, &shape, 20, 2, 1, 3);
	unsigned zeroes = 0;

	(void)state;
	for (unsigned n = 0; n < 65536; n++) {
		packet_put16(packet + layout.payload, n);
		assert_int_equal(cut(&segmentation, VNET_GSO_UDP, packet, len, len, 1514), 0);
		write_segment(&segmentation, packet, 0, segment, &segment_len);
		unsigned sum = packet_get16(segment + layout.transport + 6);
		assert_int_not_equal(sum, 0);
		assert_int_equal(sum, slow_transport_checksum(packet, len));
		zeroes += sum == 65535;
	}
	assert_in_range(zeroes, 1, 2); /* 0 and 65535 in the payload make the same sum */
}

/* ---- headers that lie ---- */

static void refused(const struct packet_shape *shape, const uint8_t *packet, size_t len)
{
	struct segmentation segmentation;

	assert_int_equal(cut(&segmentation, gso_of(shape), packet, len, len, 1514), -EINVAL);
}

static void headers_must_be_whole(void **state)
{
	static uint8_t packet[500];
	struct segmentation segmentation;

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		for (unsigned vlans = 0; vlans < 3; vlans++) {
			struct packet_shape shape = {.ipv6 = kind % 2 == 1,
						     .udp = kind / 2 == 1,
						     .vlans = vlans,
						     .ip_options = 8,
						     .tcp_options = 12};
			size_t headers = packet_layout(&shape).payload;
			size_t len = packet_build(packet, &shape, 100, 2, 1, 1);

			for (size_t first = 14; first < headers; first++)
				assert_int_equal(cut(&segmentation, gso_of(&shape), packet, first,
						     len, 1514),
						 -EINVAL);
			assert_int_equal(
				cut(&segmentation, gso_of(&shape), packet, headers, len, 1514), 0);
		}
	}
}

static void headers_must_be_what_they_say(void **state)
{
	static uint8_t packet[500];
	static const unsigned types[] = {0, 1, 0x0806, 0x8847, 0x8864, 0x86dd, 0x0800, 0xffff};

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct packet_shape shape = {.ipv6 = kind % 2 == 1, .udp = kind / 2 == 1};
		struct packet_layout layout = packet_layout(&shape);
		uint8_t *ip = packet + layout.ip, *transport = packet + layout.transport;
		size_t len = packet_build(packet, &shape, 100, 2, 1, 1);
		unsigned right = shape.ipv6 ? 0x86dd : 0x0800;

		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
			packet_put16(packet + 12, types[i]);
			if (types[i] != right)
				refused(&shape, packet, len);
		}
		packet_put16(packet + 12, right);
		/* The version, and in IPv4 the header's length. */
		for (unsigned byte = 0; byte < 256; byte++) {
			struct segmentation segmentation;
			uint8_t before = ip[0];

			ip[0] = (uint8_t)byte;
			int result = cut(&segmentation, gso_of(&shape), packet, len, len, 1514);
			if (byte / 16 != (shape.ipv6 ? 6u : 4u) || (!shape.ipv6 && byte % 16 < 5))
				assert_int_equal(result, -EINVAL);
			else if (shape.ipv6 || byte % 16 == 5)
				assert_int_equal(result, 0);
			ip[0] = before;
		}
		/* Other protocols; in IPv6 extension headers. */
		uint8_t *protocol = &ip[shape.ipv6 ? 6 : 9], before = *protocol;
		for (unsigned other = 0; other < 256; other++) {
			*protocol = (uint8_t)other;
			if (other != before)
				refused(&shape, packet, len);
		}
		*protocol = before;
		for (unsigned bit = 0; bit < 16 && !shape.ipv6; bit++) {
			struct segmentation segmentation;
			bool fragment = bit < 14; /* an offset, or more to follow */

			packet_put16(ip + 6, 1u << bit);
			assert_int_equal(cut(&segmentation, gso_of(&shape), packet, len, len, 1514),
					 fragment ? -EINVAL : 0);
			packet_put16(ip + 6, 0);
		}
		for (unsigned words = 0; words < 16 && !shape.udp; words++) {
			struct segmentation segmentation;

			transport[12] = (uint8_t)(words * 16);
			int result = cut(&segmentation, gso_of(&shape), packet, layout.payload, len,
					 1514);
			assert_int_equal(result, words == 5 ? 0 : -EINVAL);
		}
	}
}

static void gso_types_must_fit(void **state)
{
	static uint8_t packet[500];

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct packet_shape shape = {.ipv6 = kind % 2 == 1, .udp = kind / 2 == 1};
		size_t len = packet_build(packet, &shape, 100, 2, 1, 1);

		for (unsigned gso = 0; gso < 256; gso++) {
			struct segmentation segmentation;
			bool fits = (gso & 0x7fu) == gso_of(&shape);

			assert_int_equal(cut(&segmentation, gso, packet, len, len, 1514),
					 fits ? 0 : -EINVAL);
		}
	}
}

/* More tags than anybody nests; and nothing but tags. */
static void tags_come_to_an_end(void **state)
{
	static uint8_t packet[600];
	struct packet_shape shape = {.ip_options = 40, .tcp_options = 40};
	struct segmentation segmentation;

	(void)state;
	for (shape.vlans = 0; shape.vlans <= 62; shape.vlans++) {
		size_t headers = packet_layout(&shape).payload;
		size_t len = packet_build(packet, &shape, 50, 2, 1, 1);
		int result = cut(&segmentation, VNET_GSO_TCPV4, packet, len, len, 1514);

		assert_int_equal(result, headers <= SEGMENT_HEADERS_MAX ? 0 : -EINVAL);
		if (shape.vlans == 30)
			assert_int_equal(result, 0);
	}
	for (size_t i = 12; i + 2 <= sizeof(packet); i += 4)
		packet_put16(packet + i, 0x8100);
	for (size_t len = 14; len <= sizeof(packet); len++)
		assert_int_equal(cut(&segmentation, VNET_GSO_TCPV4, packet, len, len, 1514),
				 -EINVAL);
	/* The provider's tags are tags. */
	shape = (struct packet_shape){.vlans = 2};
	size_t len = packet_build(packet, &shape, 50, 2, 1, 1);
	packet_put16(packet + 12, 0x88a8);
	check_segments(&shape, packet, len, len, 90);
}

static void random_headers_do_no_harm(void **state)
{
	static uint8_t packet[2000], segment[2000];
	struct random random;
	unsigned accepted = 0;

	(void)state;
	random_start(&random, "headers");
	for (unsigned round = 0; round < 200000; round++) {
		struct packet_shape shape = {.vlans = random_below(&random, 3),
					     .ipv6 = random_below(&random, 2) == 1,
					     .udp = random_below(&random, 2) == 1,
					     .ip_options = random_below(&random, 4) * 4,
					     .tcp_options = random_below(&random, 4) * 4};
		size_t len = packet_build(packet, &shape, random_below(&random, 300), 2, 1, round);
		size_t first = 14 + random_below(&random, (uint32_t)len - 13);
		size_t limit = random_below(&random, 600);
		struct segmentation segmentation;

		for (unsigned i = random_below(&random, 3); i > 0; i--)
			packet[random_below(&random, (uint32_t)packet_layout(&shape).payload)] =
				(uint8_t)random_below(&random, 256);
		if (cut(&segmentation, gso_of(&shape), packet, first, len, limit) < 0)
			continue;
		accepted++;
		for (uint32_t i = 0; i < segmentation.count; i++) {
			size_t segment_len;

			write_segment(&segmentation, packet, i, segment, &segment_len);
			assert_null(packet_segment_wrong(packet, len, segment, segment_len, i,
							 segmentation.per_segment));
		}
	}
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_standard),
		cmocka_unit_test(any_length_and_place),
		cmocka_unit_test(pieces_add_up),
		cmocka_unit_test(carries_are_not_lost),
		cmocka_unit_test(headers_are_little_endian),
		cmocka_unit_test(what_is_not_known),
		cmocka_unit_test(every_shape_is_cut_right),
		cmocka_unit_test(every_limit),
		cmocka_unit_test(a_packet_of_64_kb),
		cmocka_unit_test(numbers_and_flags),
		cmocka_unit_test(a_udp_checksum_is_never_zero),
		cmocka_unit_test(headers_must_be_whole),
		cmocka_unit_test(headers_must_be_what_they_say),
		cmocka_unit_test(gso_types_must_fit),
		cmocka_unit_test(tags_come_to_an_end),
		cmocka_unit_test(random_headers_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
