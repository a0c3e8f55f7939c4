/*
 * Owners that cannot be given away, and devices that cannot be made, written down beside the file.
 *
 * A process with a single user id (a user namespace without id ranges, or an ordinary user outside of one) cannot
 * chown. Whoever the owner *would* be is kept in an extended attribute of the inode, where renames, hard links, overlay
 * copies and crashes cannot part the two:
 *
 *   regular files, directories   user.cbuild.stat = "UID:GID", decimal
 *   links, fifos, sockets        security.capability, whose 128 bits have no meaning on these: UID, GID, a mark with
 *                                the type, a device number (user attributes are not allowed there)
 *
 * A device is a socket with such a mark: like a device without driver, it cannot be opened. So is a whiteout (device
 * 0:0) where even root cannot make one: in a directory that is an overlay itself. Without a record the owner is 0:0. In
 * a process with several ids all functions are the system calls that they are named after.
 *
 * Threads: any.
 */
#ifndef CB_BASE_OWNER_H
#define CB_BASE_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/** True when owners are recorded: this process has one user id. Found out at the first call. */
bool cb_owner_recorded(void);
/** Forgets the answer: the process has entered another user namespace. */
void cb_owner_ask_again(void);

/** Attribute of regular files and directories, and of everything else. */
#define CB_OWNER_XATTR "user.cbuild.stat"
#define CB_OWNER_XATTR_SPECIAL "security.capability"
#define CB_OWNER_VALUE_MAX 64

/** A record. @type is 0, or S_IFCHR or S_IFBLK with a device number. */
struct cb_owner_record {
	uint32_t uid, gid;
	mode_t type;
	dev_t rdev;
};

/** The attribute's name for an inode of that mode (with type). */
const char *cb_owner_xattr(mode_t mode);
/** Writes the value for an inode of that mode to @value and returns its length. */
size_t cb_owner_encode(mode_t mode, const struct cb_owner_record *record, char value[static CB_OWNER_VALUE_MAX]);
/** Reads a value. False when it is no record (a program may have stored anything). */
bool cb_owner_decode(mode_t mode, const char *value, size_t len, struct cb_owner_record *ret);
/** Puts the record into what stat said. */
void cb_owner_apply(const struct cb_owner_record *record, struct stat *st);

/** fstat; fstatat without following links. 0, or -1 with errno. */
int cb_owner_fstat(int fd, struct stat *ret);
int cb_owner_fstatat(int dirfd, const char *name, struct stat *ret);
/** fchown (not of O_PATH descriptors); fchownat without following links. 0, or -1 with errno. */
int cb_owner_fchown(int fd, uid_t uid, gid_t gid);
int cb_owner_fchownat(int dirfd, const char *name, uid_t uid, gid_t gid);
/** mknodat: where devices are not allowed the recorded kind, if owners are recorded; device 0:0 anywhere. */
int cb_owner_mknodat(int dirfd, const char *name, mode_t mode, dev_t dev);

#endif
