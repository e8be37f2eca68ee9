/* SPDX-License-Identifier: BSD-2-Clause */
#include "packets.h"

#include <string.h>

uint16_t packet_get16(const uint8_t *from)
{
	return (uint16_t)(from[0] * 256 + from[1]);
}

uint32_t packet_get32(const uint8_t *from)
{
	return packet_get16(from) * 65536u + packet_get16(from + 2);
}

void packet_put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value / 256);
	to[1] = (uint8_t)value;
}

void packet_put32(uint8_t *to, uint32_t value)
{
	packet_put16(to, value / 65536);
	packet_put16(to + 2, value);
}

struct packet_layout packet_layout(const struct packet_shape *shape)
{
	struct packet_layout layout = {.ipv6 = shape->ipv6, .udp = shape->udp};

	layout.ip = 14 + 4 * shape->vlans;
	layout.transport = layout.ip + (shape->ipv6 ? 40 : 20 + shape->ip_options);
	layout.payload = layout.transport + (shape->udp ? 8 : 20 + shape->tcp_options);
	return layout;
}

struct packet_layout packet_parse(const uint8_t *packet)
{
	struct packet_layout layout = {.ip = 14};
	unsigned type;

	while ((type = packet_get16(packet + layout.ip - 2)) == 0x8100 || type == 0x88a8)
		layout.ip += 4;
	layout.ipv6 = type == 0x86dd;
	layout.transport = layout.ip + (layout.ipv6 ? 40 : (size_t)(packet[layout.ip] & 15) * 4);
	layout.udp = packet[layout.ip + (layout.ipv6 ? 6 : 9)] == 17;
	layout.payload = layout.transport +
			 (layout.udp ? 8 : (size_t)(packet[layout.transport + 12] / 16) * 4);
	return layout;
}

size_t packet_checksum_at(const struct packet_layout *layout)
{
	return layout->transport + packet_csum_offset(layout);
}

uint16_t packet_csum_offset(const struct packet_layout *layout)
{
	return layout->udp ? 6 : 16;
}

uint16_t slow_sum(const uint8_t *data, size_t len)
{
	unsigned sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? data[i] * 256u : data[i];
		if (sum > 65535)
			sum = sum - 65536 + 1;
	}
	return (uint16_t)sum;
}

static unsigned slow_plus(unsigned a, unsigned b)
{
	return a + b > 65535 ? a + b - 65535 : a + b;
}

static unsigned slow_pseudo_header(const uint8_t *packet, const struct packet_layout *layout,
				   size_t len)
{
	uint8_t header[40] = {0};
	size_t addresses = layout->ipv6 ? 32 : 8;

	memcpy(header, packet + layout->ip + (layout->ipv6 ? 8 : 12), addresses);
	packet_put32(header + addresses, (uint32_t)(len - layout->transport));
	header[addresses + 7] = layout->udp ? 17 : 6;
	return slow_sum(header, addresses + 8);
}

uint16_t slow_transport_checksum(const uint8_t *packet, size_t len)
{
	struct packet_layout layout = packet_parse(packet);
	size_t at = packet_checksum_at(&layout);
	unsigned sum = slow_pseudo_header(packet, &layout, len);

	sum = slow_plus(sum, slow_sum(packet + layout.transport, at - layout.transport));
	sum = slow_plus(sum, slow_sum(packet + at + 2, len - at - 2));
	sum = 65535 - sum;
	return layout.udp && sum == 0 ? 65535 : (uint16_t)sum;
}

bool packet_checksums_right(const uint8_t *packet, size_t len)
{
	struct packet_layout layout = packet_parse(packet);
	uint16_t found = packet_get16(packet + packet_checksum_at(&layout));
	uint16_t wanted = slow_transport_checksum(packet, len);

	if (!layout.ipv6 && slow_sum(packet + layout.ip, layout.transport - layout.ip) != 65535)
		return false;
	/* In TCP both zeroes are right. */
	return found == wanted || (!layout.udp && found % 65535 == wanted % 65535);
}

size_t packet_build(uint8_t *packet, const struct packet_shape *shape, size_t payload, uint64_t to,
		    uint64_t from, unsigned number)
{
	struct packet_layout layout = packet_layout(shape);
	size_t len = layout.payload + payload;
	uint8_t *ip = packet + layout.ip, *transport = packet + layout.transport;

	for (size_t i = 0; i < len; i++)
		packet[i] = (uint8_t)(number * 37 + i * 11 + (i >> 8) * 3);
	for (int i = 0; i < 6; i++) {
		packet[i] = (uint8_t)(to >> (40 - 8 * i));
		packet[6 + i] = (uint8_t)(from >> (40 - 8 * i));
	}
	for (unsigned i = 0; i < shape->vlans; i++)
		packet_put16(packet + 12 + 4 * (size_t)i, 0x8100);
	packet_put16(ip - 2, shape->ipv6 ? 0x86dd : 0x0800);
	if (shape->ipv6) {
		ip[0] = 0x60;
		packet_put16(ip + 4, (unsigned)(len - layout.transport));
		ip[6] = shape->udp ? 17 : 6;
	} else {
		ip[0] = (uint8_t)(0x45 + shape->ip_options / 4);
		packet_put16(ip + 2, (unsigned)(len - layout.ip));
		packet_put16(ip + 6, 0x4000); /* do not fragment */
		ip[9] = shape->udp ? 17 : 6;
		packet_put16(ip + 10, 0);
		packet_put16(ip + 10, 65535u - slow_sum(ip, layout.transport - layout.ip));
	}
	if (shape->udp)
		packet_put16(transport + 4, (unsigned)(len - layout.transport));
	else
		transport[12] = (uint8_t)((5 + shape->tcp_options / 4) * 16);
	packet_put16(packet + packet_checksum_at(&layout),
		     slow_pseudo_header(packet, &layout, len));
	return len;
}

void packet_finish(uint8_t *packet, size_t len)
{
	struct packet_layout layout = packet_parse(packet);

	packet_put16(packet + packet_checksum_at(&layout), slow_transport_checksum(packet, len));
}

static const char *wrong_ip(const struct packet_layout *layout, const uint8_t *expected,
			    const uint8_t *segment, size_t segment_len)
{
	const uint8_t *ip = segment + layout->ip;

	if (layout->ipv6)
		return packet_get16(ip + 4) == segment_len - layout->transport
			       ? NULL
			       : "IPv6 payload length";
	if (packet_get16(ip + 2) != segment_len - layout->ip)
		return "IPv4 length";
	if (packet_get16(ip + 4) != packet_get16(expected + layout->ip + 4))
		return "IPv4 identification";
	return NULL;
}

const char *packet_segment_wrong(const uint8_t *whole, size_t len, const uint8_t *segment,
				 size_t segment_len, size_t index, size_t per)
{
	struct packet_layout layout = packet_parse(whole);
	size_t first = layout.payload + index * per;
	size_t payload = len - first < per ? len - first : per;
	bool last = first + payload == len;
	uint8_t expected[512]; /* headers only */
	const char *wrong;

	if (segment_len != layout.payload + payload)
		return "length";
	if (memcmp(segment + layout.payload, whole + first, payload) != 0)
		return "payload";
	if (!packet_checksums_right(segment, segment_len))
		return "checksum";
	/* The rest is as it was, but for what has just been looked at, or is below. */
	memcpy(expected, whole, layout.payload);
	uint8_t *ip = expected + layout.ip, *transport = expected + layout.transport;
	if (!layout.ipv6)
		packet_put16(ip + 4, packet_get16(ip + 4) + (unsigned)index);
	if ((wrong = wrong_ip(&layout, expected, segment, segment_len)) != NULL)
		return wrong;
	if (layout.ipv6) {
		memcpy(ip + 4, segment + layout.ip + 4, 2);
	} else {
		memcpy(ip + 2, segment + layout.ip + 2, 2);
		memcpy(ip + 10, segment + layout.ip + 10, 2);
	}
	if (layout.udp) {
		packet_put16(transport + 4, (unsigned)(segment_len - layout.transport));
	} else {
		packet_put32(transport + 4, packet_get32(transport + 4) + (uint32_t)(index * per));
		if (!last)
			transport[13] &= 0xf6; /* FIN, PSH */
		if (index > 0)
			transport[13] &= 0x7f; /* CWR */
	}
	memcpy(expected + packet_checksum_at(&layout), segment + packet_checksum_at(&layout), 2);
	return memcmp(expected, segment, layout.payload) == 0 ? NULL : "headers";
}
