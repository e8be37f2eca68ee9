# SPDX-License-Identifier: BSD-2-Clause
"""A netmap program in Python: receives COUNT packets on PORT and prints their first bytes.

usage: receiver.py select|poll|epoll|asyncio PORT COUNT
"""

import asyncio
import fcntl
import mmap
import os
import select
import struct
import sys

NIOCRXSYNC = 0x6995
NIOCREGIF = 0xC03C6992
REQUEST = struct.Struct("=16sIIIIIHHHHHHIII")


class Port:
    def __init__(self, name):
        self.fd = os.open("/dev/netmap", os.O_RDWR)
        request = bytearray(REQUEST.pack(name.encode(), 14, *[0] * 10, 0, 1, 0))
        fcntl.ioctl(self.fd, NIOCREGIF, request)
        _, _, offset, size, *_ = REQUEST.unpack(request)
        self.memory = mmap.mmap(self.fd, size)
        tx_rings, rx_rings, _, host_tx, _ = struct.unpack_from("=IIIII", self.memory, offset + 24)
        assert (tx_rings, rx_rings) == (1, 1)
        self.ring = offset + struct.unpack_from("=q", self.memory, offset + 56 + 8 * (tx_rings + host_tx))[0]

    def packets(self):
        """Take what has come out of the ring; give back the slots at the next sync."""
        buffers, slots, size = struct.unpack_from("=qII", self.memory, self.ring)
        head, _, tail = struct.unpack_from("=III", self.memory, self.ring + 20)
        while head != tail:
            index, length = struct.unpack_from("=IH", self.memory, self.ring + 256 + 16 * head)
            start = self.ring + buffers + index * size
            yield self.memory[start : start + length]
            head = (head + 1) % slots
            struct.pack_into("=II", self.memory, self.ring + 20, head, head)


def wait_with(method, port):
    if method == "select":
        assert select.select([port.fd, 0], [], [], 60)[0] == [port.fd]
    elif method == "poll":
        poll = select.poll()
        poll.register(port.fd, select.POLLIN)
        assert poll.poll(60000) == [(port.fd, select.POLLIN)]
    else:
        with select.epoll() as epoll:
            epoll.register(port.fd, select.EPOLLIN)
            assert epoll.poll(60) == [(port.fd, select.EPOLLIN)]


def receive(method, port, count):
    while count > 0:
        wait_with(method, port)
        for packet in port.packets():
            print(packet[:12].hex(), flush=True)
            count -= 1


async def receive_async(port, count):
    done = asyncio.Event()
    left = [count]

    def readable():
        for packet in port.packets():
            print(packet[:12].hex(), flush=True)
            left[0] -= 1
        if left[0] <= 0:
            done.set()

    asyncio.get_running_loop().add_reader(port.fd, readable)
    await asyncio.wait_for(done.wait(), 60)


if __name__ == "__main__":
    how, name, number = sys.argv[1:]
    opened = Port(name)
    print("open", flush=True)
    if how == "asyncio":
        asyncio.run(receive_async(opened, int(number)))
    else:
        receive(how, opened, int(number))
