#include "base/timefmt.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void cb_time_format(struct timespec t, char out[static CB_TIME_TEXT_MAX])
{
	struct tm tm;
	size_t n;

	gmtime_r(&t.tv_sec, &tm);
	n = strftime(out, CB_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	if (t.tv_nsec) {
		n += (size_t)snprintf(out + n, CB_TIME_TEXT_MAX - n, ".%09ld", (long)t.tv_nsec);
		while (out[n - 1] == '0')
			n--;
	}
	snprintf(out + n, CB_TIME_TEXT_MAX - n, "Z");
}

static bool fraction(const char **s, long *ret)
{
	long ns = 0, scale = 100000000;

	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		ns += (**s - '0') * scale;
		scale /= 10;
	}
	*ret = ns;
	return true;
}

static bool two_digits(const char *s, int *ret)
{
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return false;
	*ret = (s[0] - '0') * 10 + s[1] - '0';
	return true;
}

static bool zone(const char *s, long *ret)
{
	int hours, minutes;

	if (!strcmp(s, "Z") || !strcmp(s, "z")) {
		*ret = 0;
		return true;
	}
	if ((*s != '+' && *s != '-') || !two_digits(s + 1, &hours) || s[3] != ':' || !two_digits(s + 4, &minutes) ||
		s[6])
		return false;
	*ret = (*s == '-' ? -60L : 60L) * (hours * 60 + minutes);
	return true;
}

bool cb_time_parse(const char *text, struct timespec *ret)
{
	struct tm tm = { 0 };
	const char *s = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	long ns = 0, offset;

	if (!s)
		return false;
	if (*s == '.') {
		s++;
		if (!fraction(&s, &ns))
			return false;
	}
	if (!zone(s, &offset))
		return false;
	*ret = (struct timespec){ .tv_sec = timegm(&tm) - offset, .tv_nsec = ns };
	return true;
}

struct timespec cb_time_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t;
}

uint64_t cb_time_mono(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int cb_time_left_ms(uint64_t deadline)
{
	uint64_t now = cb_time_mono();

	if (!deadline)
		return -1;
	return now >= deadline ? 0 : (int)CB_MIN((deadline - now) / 1000000 + 1, (uint64_t)INT_MAX);
}
