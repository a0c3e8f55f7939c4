"""Archives that want out: each is tried as a layer of a base image and as the source of ADD.

ATTACKS is a table of (name, make, as a layer, as ADD). make(o) gives the tars, lowest layer first (ADD takes the last
one), where `o` is the path of the sentinels without its leading "/". What must come of it is
    None          not tried in this way
    HARMLESS      the build succeeds and nothing outside has changed
    EITHER        that, or it fails: hosts differ
    "some text"   the build fails and says this
"""
import gzip
import io
import struct
import tarfile

HARMLESS, EITHER = '', '?'
DIR, SYM, LNK, CHR, BLK, FIFO = (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
                                 tarfile.FIFOTYPE)


def tar(*entries, end=True):
    """A tar of (name, content or fields, mode); bytes are put in as they are."""
    out = io.BytesIO()
    for entry in entries:
        if isinstance(entry, bytes):
            out.write(entry)
            continue
        name, content, *mode = entry
        info = tarfile.TarInfo(name)
        info.mode = mode[0] if mode else 0o644
        if isinstance(content, dict):
            for key, value in content.items():
                setattr(info, key, value)
            content = b''
        info.size = len(content)
        out.write(info.tobuf(tarfile.PAX_FORMAT, errors='surrogateescape'))
        out.write(content + b'\0' * (-len(content) % 512))
    return out.getvalue() + (b'\0' * 1024 if end else b'')


def sym(target):
    return {'type': SYM, 'linkname': target}


def link(target):
    return {'type': LNK, 'linkname': target}


def dev(kind, major, minor):
    return {'type': kind, 'devmajor': major, 'devminor': minor}


def header(name, size=b'00000000000\0', kind=b'0', link_name=b'', magic=b'ustar\00000', tail=b'', uid=b'0000000\0'):
    """A header with any bytes in its fields and the right checksum."""
    h = name.ljust(100, b'\0') + b'0000644\0' + uid + b'0000000\0' + size + b'00000000000\0' + b' ' * 8 + kind
    h += link_name.ljust(100, b'\0') + magic
    h = (h + tail).ljust(512, b'\0')
    return h[:148] + b'%06o\0 ' % sum(h) + h[156:]


def padded(data):
    return data + b'\0' * (-len(data) % 512)


def octal(n):
    return b'%011o\0' % n


def base256(n):
    return b'\x80' + n.to_bytes(11, 'big') if n >= 0 else b'\xff' + (n + (1 << 88)).to_bytes(11, 'big')


def pax(*records):
    data = b''
    for key, value in records:
        body = b' ' + key + b'=' + value + b'\n'
        size = len(body) + len(str(len(body)))
        size = len(body) + len(str(size))
        data += str(size).encode() + body
    return header(b'pax', octal(len(data)), b'x') + padded(data)


def up(o):
    return '../' * 24 + o


FILE = header(b'file', octal(2)) + padded(b'x\n')

ATTACKS = [
    # ---- names ----
    ('absolute name', lambda o: [tar(('/' + o + '/pwned', b'x'))], EITHER, EITHER),
    ('name that climbs', lambda o: [tar((up(o) + '/pwned', b'x'))], '..', '..'),
    ('name that climbs from inside', lambda o: [tar(('a/b/' + up(o) + '/pwned', b'x'))], '..', '..'),
    ('name that climbs, in a pax record', lambda o: [tar(pax((b'path', (up(o) + '/pwned').encode())), FILE)], '..', '..'),
    ('name with NUL in a pax record', lambda o: [tar(pax((b'path', b'good\0/../../../pwned')), FILE)], 'invalid extended header record', 'invalid extended header record'),
    ('name of dots alone', lambda o: [tar(('..', b'x'))], '..', '..'),
    ('empty name', lambda o: [tar(header(b'', octal(2)) + padded(b'x\n'))], 'name', 'name'),
    ('the root as a file', lambda o: [tar(('.', b'x'))], 'root', 'root'),
    ('the root as a link', lambda o: [tar(('./', sym('/' + o)), ('pwned', b'x'))], 'root', 'root'),
    ('component of 300 bytes', lambda o: [tar(('n' * 300, b'x'))], 'File name too long', 'File name too long'),
    ('path longer than PATH_MAX', lambda o: [tar(('/'.join(['d' * 200] * 30), b'x'))], 'name longer than', 'name longer than'),
    ('depth of 3000', lambda o: [tar(('d/' * 3000 + 'f', b'x'))], 'name longer than', 'name longer than'),
    ('line ends and escapes in a name', lambda o: [tar(('a\n\x1b]0;owned\x07b', b'x'))], HARMLESS, HARMLESS),
    # ---- symbolic links ----
    ('file through an absolute link', lambda o: [tar(('l', sym('/' + o)), ('l/pwned', b'x'))], 'below "l", which is no directory', HARMLESS),
    ('file through a climbing link', lambda o: [tar(('l', sym(up(o))), ('l/pwned', b'x'))], 'below "l", which is no directory', HARMLESS),
    ('file through two links', lambda o: [tar(('a', sym('b')), ('b', sym('/' + o)), ('a/pwned', b'x'))], 'below "a", which is no directory', HARMLESS),
    ('file over a link to a file', lambda o: [tar(('f', sym('/' + o + '/victim')), ('f', b'owned'))], HARMLESS, HARMLESS),
    ('directory over a link, with a mode and a time (CVE-2019-14271 class)',
     lambda o: [tar(('d', sym('/' + o + '/dir')), ('d', {'type': DIR}, 0o700))], HARMLESS, HARMLESS),
    ('directory, then a link, then a file in it',
     lambda o: [tar(('d', {'type': DIR}, 0o755), ('d/a', b'x'), ('d', sym('/' + o)), ('d/pwned', b'x'))], 'below "d", which is no directory', HARMLESS),
    ('link, then a directory, then a file in it',
     lambda o: [tar(('d', sym('/' + o)), ('d', {'type': DIR}, 0o755), ('d/pwned', b'x'))], HARMLESS, HARMLESS),
    ('link of the layer below', lambda o: [tar(('l', sym('/' + o))), tar(('l/pwned', b'x'))], HARMLESS, None),
    ('link of the layer below, climbing', lambda o: [tar(('l', sym(up(o)))), tar(('l/pwned', b'x'))], HARMLESS, None),
    ('link to /proc/self/root', lambda o: [tar(('l', sym('/proc/self/root/' + o)), ('l/pwned', b'x'))], 'below "l", which is no directory', HARMLESS),
    ('link to /proc/self/cwd', lambda o: [tar(('l', sym('/proc/self/cwd/' + up(o))), ('l/pwned', b'x'))], 'below "l", which is no directory', HARMLESS),
    ('loop of links', lambda o: [tar(('a', sym('b')), ('b', sym('a')), ('a/pwned', b'x'))], 'below "a", which is no directory', 'too many levels of symbolic links'),
    ('link with a target of 8000 bytes', lambda o: [tar(('l', sym('x' * 8000)))], 'l', 'l'),
    ('link without a target', lambda o: [tar(header(b'l', kind=b'2'))], 'l', 'l'),
    # ---- hard links ----
    ('hard link to the outside', lambda o: [tar(('h', link('/' + o + '/victim')), ('h', b'owned'))], 'h', 'h'),
    ('hard link that climbs', lambda o: [tar(('h', link(up(o) + '/victim')), ('h', b'owned'))], 'h', 'h'),
    ('hard link through a link (CVE-2024-3154 class)',
     lambda o: [tar(('d', sym('/' + o)), ('h', link('d/victim')), ('h', b'owned'))], 'h', 'h'),
    ('hard link to a link, then written', lambda o: [tar(('s', sym('/' + o + '/victim')), ('h', link('s')), ('h', b'owned'))],
     HARMLESS, HARMLESS),
    ('hard link to itself', lambda o: [tar(('h', link('h')))], 'h', 'h'),
    ('hard link to a directory', lambda o: [tar(('d', {'type': DIR}, 0o755), ('h', link('d')))], 'h', 'h'),
    ('hard link with content', lambda o: [tar(('f', b'f'), header(b'h', octal(2), b'1', b'f') + padded(b'x\n'))], 'checksum', 'checksum'),
    # ---- types and modes ----
    ('block device of the disk', lambda o: [tar(('sda', dev(BLK, 8, 0), 0o666))], HARMLESS, HARMLESS),
    ('character device /dev/mem', lambda o: [tar(('mem', dev(CHR, 1, 1), 0o666))], HARMLESS, HARMLESS),
    ('whiteout as a device', lambda o: [tar(('w', dev(CHR, 0, 0)))], 'whiteout', 'whiteout'),
    ('device with huge numbers', lambda o: [tar(header(b'd', kind=b'3', tail=b'r'.ljust(64, b'\0') + b'7777777\0' + b'7777777\0'))],
     EITHER, EITHER),
    ('fifo, then a file of that name', lambda o: [tar(('p', {'type': FIFO}), ('p', b'x'))], HARMLESS, HARMLESS),
    ('setuid root', lambda o: [tar(('su', b'#!/bin/sh\n', 0o6755))], HARMLESS, HARMLESS),
    ('owner of 2^32', lambda o: [tar(header(b'f', uid=base256(1 << 32)[:1] + base256(1 << 32)[-7:]))], 'invalid user id', None),
    ('unknown type', lambda o: [tar(header(b'f', kind=b'Z'), FILE)], None, None),
    # ---- whiteouts ----
    ('whiteout of ".."', lambda o: [tar(('d', {'type': DIR}, 0o755), ('d/.wh...', b''))], 'whiteout', None),
    ('whiteout of "."', lambda o: [tar(('d', {'type': DIR}, 0o755), ('d/.wh..', b''))], 'whiteout', None),
    ('whiteout of nothing', lambda o: [tar(('.wh.', b''))], 'whiteout', None),
    ('whiteout through a link', lambda o: [tar(('l', sym('/' + o)), ('l/.wh.victim', b''))], 'below "l", which is no directory', None),
    ('whiteout through a link of the layer below', lambda o: [tar(('l', sym('/' + o))), tar(('l/.wh.victim', b''))], HARMLESS, None),
    ('opaque mark through a link', lambda o: [tar(('l', sym('/' + o))), tar(('l/.wh..wh..opq', b''))], HARMLESS, None),
    ('opaque mark as a directory', lambda o: [tar(('.wh..wh..opq', {'type': DIR}, 0o755), ('.wh..wh..opq/f', b'x'))], None, None),
    ('marks of aufs', lambda o: [tar(('.wh..wh.aufs', b''), ('.wh..wh.plnk', {'type': DIR}, 0o755))], HARMLESS, None),
    ('attribute of overlay: opaque', lambda o: [tar(pax((b'SCHILY.xattr.trusted.overlay.opaque', b'y')), FILE)], HARMLESS, HARMLESS),
    ('attribute of overlay: redirect', lambda o: [tar(
        pax((b'SCHILY.xattr.trusted.overlay.redirect', b'/../../' + o.encode())), header(b'd/', kind=b'5'),
        pax((b'SCHILY.xattr.user.overlay.redirect', b'/' + o.encode())), header(b'e/', kind=b'5'))], HARMLESS, HARMLESS),
    ('attribute of overlay: metacopy', lambda o: [tar(pax((b'SCHILY.xattr.user.overlay.metacopy', b''),
                                                      (b'SCHILY.xattr.user.overlay.redirect', b'/' + o.encode() + b'/victim')), FILE)],
     HARMLESS, HARMLESS),
    ('capability of nonsense', lambda o: [tar(pax((b'SCHILY.xattr.security.capability', b'\xff' * 20)), FILE)], None, None),
    # ---- sizes ----
    ('sparse file of 8 EiB', lambda o: [tar(pax((b'GNU.sparse.major', b'1'), (b'GNU.sparse.minor', b'0'), (b'GNU.sparse.name', b's'),
                                                (b'GNU.sparse.realsize', b'9223372036854775807')),
                                            header(b's', octal(512)) + padded(b'0\n'))], 's', 's'),
    ('sparse map that overflows', lambda o: [tar(pax((b'GNU.sparse.major', b'1'), (b'GNU.sparse.minor', b'0'), (b'GNU.sparse.name', b's'),
                                                     (b'GNU.sparse.realsize', b'100')),
                                                 header(b's', octal(1024)) + padded(b'1\n18446744073709551615\n512\n') + b'x' * 512)], 's', 's'),
    ('negative size', lambda o: [tar(header(b'f', base256(-512)), FILE)], 'size', 'size'),
    ('size of 8 EiB without data', lambda o: [tar(header(b'f', base256((1 << 63) - 1)))], 'exceed the limit', 'exceed the limit'),
    ('pax size against the header', lambda o: [tar(pax((b'size', b'99999999999999999999')), FILE)], 'size', 'size'),
    ('pax record of 4 GiB', lambda o: [tar(header(b'pax', octal((1 << 32) + 1), b'x') + b'4294967297 path=' + b'a' * 8192)], 'header', 'header'),
    ('pax record of 20 MiB', lambda o: [tar(pax((b'comment', b'a' * (20 << 20))), FILE)], 'header', 'header'),
    ('pax record with a wrong length', lambda o: [tar(header(b'pax', octal(30), b'x') + padded(b'999 path=x\n12 foo=bar\n'), FILE)], 'header', 'header'),
    ('long name of 1 GiB', lambda o: [tar(header(b'././@LongLink', octal(1 << 30), b'L') + b'a' * 8192)], 'header', 'header'),
    ('the same name 20000 times', lambda o: [tar(*[header(b'f', octal(2)) + padded(b'x\n')] * 20000)], HARMLESS, HARMLESS),
    ('file and directory in turns', lambda o: [tar(('x', b'f'), ('x', {'type': DIR}, 0o755), ('x/y', b'f'), ('x', sym('/' + o)),
                                                   ('x', {'type': DIR}, 0o755), ('x/pwned', b'f'))], HARMLESS, HARMLESS),
    # ---- bytes ----
    ('cut in a header', lambda o: [tar(('f', b'x'), FILE[:200], end=False)], 'end', 'end'),
    ('cut in content', lambda o: [tar(header(b'f', octal(5000)) + b'x' * 600, end=False)], 'end', 'end'),
    ('wrong checksum', lambda o: [tar(('f', b'x'), FILE[:120] + b'9' + FILE[121:])], 'checksum', 'checksum'),
    ('garbage after the end', lambda o: [tar(('f', b'x')) + b'/etc/passwd\0' * 1000], 'data after the end', HARMLESS),
    ('gzip that ends early', lambda o: [gzip.compress(tar(('f', b'x' * 100000)), mtime=0)[:-20]], 'gzip', 'gzip'),
    ('gzip with a wrong checksum', lambda o: [gzip.compress(tar(('f', b'x')), mtime=0)[:-8] + struct.pack('<II', 1, 2)], 'gzip', 'gzip'),
    ('gzip of 64 MiB of nothing', lambda o: [gzip.compress(tar(('f', b'x')) + b'\0' * (64 << 20), 6, mtime=0)], HARMLESS, HARMLESS),
]
