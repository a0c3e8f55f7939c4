#include "base/num.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

bool cb_num_u64(const char *s, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
			return false;
	}
	*ret = value;
	return true;
}

bool cb_num_u32(const char *s, uint32_t *ret)
{
	uint64_t value;

	if (!cb_num_u64(s, &value) || value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

bool cb_num_i64(const char *s, int64_t *ret)
{
	bool negative = *s == '-';
	uint64_t value;

	if (!cb_num_u64(s + negative, &value) || value > (uint64_t)INT64_MAX + negative)
		return false;
	*ret = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

bool cb_num_octal(const char *s, uint32_t max, uint32_t *ret)
{
	uint64_t value = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '7')
			return false;
		value = value * 8 + (uint64_t)(*s - '0');
		if (value > max)
			return false;
	}
	*ret = (uint32_t)value;
	return true;
}

/* Reads "12.5" as value and the power of ten below it; the rest of @s follows. */
static bool decimal(const char **s, uint64_t *value, uint64_t *scale)
{
	bool digits = false, fraction = false;

	*value = 0;
	*scale = 1;
	for (; (**s >= '0' && **s <= '9') || (**s == '.' && !fraction); (*s)++) {
		if (**s == '.') {
			fraction = true;
			continue;
		}
		digits = true;
		if (fraction && *scale >= 1000000000000000u)
			continue; /* further digits cannot matter */
		if (__builtin_mul_overflow(*value, 10, value) ||
			__builtin_add_overflow(*value, (uint64_t)(**s - '0'), value))
			return false;
		if (fraction)
			*scale *= 10;
	}
	return digits;
}

bool cb_num_size(const char *s, uint64_t *ret)
{
	static const char units[] = "bkmgtp";
	uint64_t value, scale;
	unsigned int shift = 0;
	unsigned __int128 bytes;

	if (!decimal(&s, &value, &scale))
		return false;
	if (*s == ' ')
		s++;
	if (*s) {
		char unit = (char)(*s >= 'A' && *s <= 'Z' ? *s - 'A' + 'a' : *s);
		const char *at = strchr(units, unit);

		if (!at)
			return false;
		shift = 10 * (unsigned int)(at - units);
		s++;
		if (unit != 'b' && *s == 'i')
			s++;
		if (unit != 'b' && (*s == 'b' || *s == 'B'))
			s++;
		if (*s)
			return false;
	}
	bytes = ((unsigned __int128)value << shift) / scale;
	if (bytes > INT64_MAX)
		return false;
	*ret = (uint64_t)bytes;
	return true;
}

static int64_t unit_ns(const char **s)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "\xc2\xb5s", 1000 },
		{ "\xce\xbcs", 1000 },
		{ "ms", 1000000 },
		{ "s", 1000000000 },
		{ "m", 60000000000 },
		{ "h", 3600000000000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t n = strlen(units[i].name);

		if (!strncmp(*s, units[i].name, n) && (units[i].name[0] != 'm' || n == 2 || (*s)[1] != 's')) {
			*s += n;
			return units[i].ns;
		}
	}
	return 0;
}

bool cb_num_duration(const char *s, int64_t *ret)
{
	bool negative = *s == '-';
	unsigned __int128 total = 0;

	if (*s == '-' || *s == '+')
		s++;
	if (!strcmp(s, "0")) {
		*ret = 0;
		return true;
	}
	if (!*s)
		return false;
	while (*s) {
		uint64_t value, scale;
		int64_t ns;

		if (!decimal(&s, &value, &scale))
			return false;
		ns = unit_ns(&s);
		if (!ns)
			return false;
		total += (unsigned __int128)value * (uint64_t)ns / scale;
		if (total > INT64_MAX)
			return false;
	}
	*ret = negative ? -(int64_t)total : (int64_t)total;
	return true;
}

/* Appends value/unit with its fraction, trailing zeros dropped. */
static void add_fraction(struct cb_buf *out, uint64_t value, uint64_t unit, const char *name)
{
	uint64_t rest = value % unit;

	cb_buf_addf(out, "%llu", (unsigned long long)(value / unit));
	if (rest)
		cb_buf_addc(out, '.');
	for (uint64_t digit = unit / 10; rest; digit /= 10) {
		cb_buf_addc(out, (char)('0' + rest / digit));
		rest %= digit;
	}
	cb_buf_adds(out, name);
}

void cb_num_format_duration(struct cb_buf *out, int64_t ns)
{
	uint64_t value = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;

	if (ns < 0)
		cb_buf_addc(out, '-');
	if (!value) {
		cb_buf_adds(out, "0s");
	} else if (value < 1000) {
		add_fraction(out, value, 1, "ns");
	} else if (value < 1000000) {
		add_fraction(out, value, 1000, "\xc2\xb5s");
	} else if (value < 1000000000) {
		add_fraction(out, value, 1000000, "ms");
	} else {
		uint64_t minutes = value / 60000000000u;

		if (minutes >= 60)
			cb_buf_addf(out, "%lluh", (unsigned long long)(minutes / 60));
		if (minutes)
			cb_buf_addf(out, "%llum", (unsigned long long)(minutes % 60));
		add_fraction(out, value % 60000000000u, 1000000000, "s");
	}
}

void cb_num_format_size(struct cb_buf *out, uint64_t bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 999.5 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1000;
		unit++;
	}
	if (!unit)
		cb_buf_addf(out, "%lluB", (unsigned long long)bytes);
	else
		cb_buf_addf(out, "%.*f%s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[unit]);
}
