"""A static program for 64-bit ARM, as no compiler for it is at hand: foreign_program.py FILE TEXT

It writes TEXT and a newline to standard output and to the file /made, and exits. Encodings: Arm A64 instruction set.
"""
import struct
import sys

path, text = b'/made\0', sys.argv[2].encode() + b'\n'
AT_FDCWD, O_WRONLY_CREAT_TRUNC = -100, 0o1101
OPENAT, WRITE, EXIT = 56, 64, 93
BASE, HEADERS = 0x400000, 64 + 56


def mov(register, value):
    if value < 0:
        return 0x92800000 | (~value & 0xffff) << 5 | register
    return 0xd2800000 | value << 5 | register


def adr(register, distance):
    return 0x10000000 | (distance & 3) << 29 | (distance >> 2) << 5 | register


def program(at_path, at_text):
    code = []

    def add(*words):
        code.extend(words)

    def system(number):
        add(mov(8, number), 0xd4000001)

    def write():
        add(adr(1, at_text - 4 * len(code)), mov(2, len(text)))
        system(WRITE)

    add(mov(0, 1))
    write()
    add(mov(0, AT_FDCWD), adr(1, at_path - 4 * (len(code) + 1)), mov(2, O_WRONLY_CREAT_TRUNC), mov(3, 0o644))
    system(OPENAT)
    write()
    add(mov(0, 0))
    system(EXIT)
    return code


size = 4 * len(program(0, 0))
body = struct.pack(f'<{size // 4}I', *program(size, size + len(path))) + path + text
total = HEADERS + len(body)
header = b'\x7fELF\2\1\1' + bytes(9) + struct.pack('<HHIQQQIHHHHHH', 2, 183, 1, BASE + HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
segment = struct.pack('<IIQQQQQQ', 1, 5, 0, BASE, BASE, total, total, 0x10000)
with open(sys.argv[1], 'wb') as f:
    f.write(header + segment + body)
