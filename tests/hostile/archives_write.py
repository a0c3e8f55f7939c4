"""Writes the last archive of an attack to standard output: archives_write.py NUMBER OUTSIDE"""
import sys

sys.dont_write_bytecode = True
from archives import ATTACKS  # noqa: E402

sys.stdout.buffer.write(ATTACKS[int(sys.argv[1])][1](sys.argv[2].lstrip('/'))[-1])
