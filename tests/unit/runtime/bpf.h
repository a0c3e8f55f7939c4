/*
 * The kernel's machine for seccomp filters, as far as compilers of filters use it: what a program answers to a system
 * call.
 */
#ifndef CB_TEST_BPF_H
#define CB_TEST_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/**
 * What @code of @n instructions returns for @data; -1 when it is no valid filter. @big is true for programs of
 * big-endian machines, where the high half of an argument comes first.
 */
int64_t bpf_run(const struct sock_filter *code, size_t n, const struct seccomp_data *data, int big);

#endif
