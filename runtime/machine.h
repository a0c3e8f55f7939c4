/*
 * The architecture that this program is made for, as seccomp names it, and that of the 32-bit programs beside it.
 */
#ifndef CB_RUNTIME_MACHINE_H
#define CB_RUNTIME_MACHINE_H

#include <linux/audit.h>

#if defined(__x86_64__)
#define CB_MACHINE_NATIVE AUDIT_ARCH_X86_64
#define CB_MACHINE_COMPAT AUDIT_ARCH_I386
#define CB_COMPAT_MKNOD 14
#define CB_COMPAT_MKNODAT 297
#elif defined(__aarch64__)
#define CB_MACHINE_NATIVE AUDIT_ARCH_AARCH64
#define CB_MACHINE_COMPAT AUDIT_ARCH_ARM
#define CB_COMPAT_MKNOD 14
#define CB_COMPAT_MKNODAT 324
#elif defined(__riscv) && __riscv_xlen == 64
#define CB_MACHINE_NATIVE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CB_MACHINE_NATIVE AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define CB_MACHINE_NATIVE AUDIT_ARCH_S390X
#define CB_MACHINE_COMPAT AUDIT_ARCH_S390
#define CB_COMPAT_MKNOD 14
#define CB_COMPAT_MKNODAT 290
#elif defined(__loongarch64)
#define CB_MACHINE_NATIVE AUDIT_ARCH_LOONGARCH64
#else
#error "no seccomp architecture for this machine"
#endif

#endif
