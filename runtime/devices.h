/*
 * Device nodes for steps that are in a user namespace of real root's.
 *
 * The kernel lets nobody in a user namespace make one, but docker's steps may (CAP_MKNOD is among the default
 * capabilities), and the node, which opens nowhere in the step, belongs into the layer. So mknod(2) of a device is
 * asked about (notify.h), and a process that has the capability makes the node in the place of who asked: with its file
 * system ids, groups, mode mask and, of the capabilities that decide about files, those that it has.
 *
 *   - What is read of the asking process is read once: its arguments are a copy of the kernel's, its path is a copy of
 *     ours, and its root and directory are descriptors from then on.
 *   - The directory that the path leads to is looked up by a child in the step's user namespace, with the asking
 *     process's root and rights: it can lead nowhere that the process could not go itself. Links of /proc are refused.
 *   - The node is made by one call on that directory's descriptor, which is not the place to follow links.
 *   - Nothing is made where devices could be opened: the mount has to be nodev, which a step cannot change.
 *   - Whoever has no CAP_MKNOD in the step's user namespace, is in one below it, or names something that cannot be
 *     looked up, gets the kernel's own answer: the call goes on as it was made.
 *
 * The process is forked when the first such call of a step is made, by the seed (zygote.h), which has one thread and
 * the rights of real root. It ends when all processes of the step have, and only then the layer is complete.
 */
#ifndef CB_RUNTIME_DEVICES_H
#define CB_RUNTIME_DEVICES_H

#include "base/mem.h"

/**
 * In a fork of real root: answers @listener for a step in the user namespace @userns. @end, which nobody else has, is
 * closed by its exit.
 */
CB_NORETURN void cb_devices_main(int listener, int userns, int end);

#endif
