// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "units.h"

static const char powers[] = "kmgtpe";

/* The factor that the letters at the end of a size stand for; 0: they do not. */
static u64 unit_factor(const char *text)
{
	const char *power;

	if (!*text || !strcasecmp(text, "b"))
		return 1;
	if (!strcasecmp(text, "s"))
		return SECTOR_BYTES;
	power = strchr(powers, tolower((unsigned char)*text));
	if (!power || (text[1] && strcasecmp(text + 1, "b") && strcasecmp(text + 1, "ib")))
		return 0;
	return 1ULL << 10 * (power - powers + 1);
}

/*
 * What is behind the point, as a part of the factor, exactly: each digit is worth a
 * tenth of what the one before it is.
 */
static bool parse_fraction(const char **text, u64 *numerator, u64 *denominator)
{
	*numerator = 0;
	*denominator = 1;
	if (**text != '.')
		return true;
	if (!isdigit((unsigned char)*++*text))
		return false;
	for (; isdigit((unsigned char)**text); ++*text) {
		if (*denominator >= 1000000000000000)
			return false;
		*numerator = *numerator * 10 + (**text - '0');
		*denominator *= 10;
	}
	return true;
}

bool parse_size(const char *text, u64 *bytes)
{
	u64 whole = 0, numerator, denominator, factor, fraction;

	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text); text++) {
		if (whole > (~0ULL - 9) / 10)
			return false;
		whole = whole * 10 + (*text - '0');
	}
	if (!parse_fraction(&text, &numerator, &denominator))
		return false;
	factor = unit_factor(text);
	if (!factor || whole > ~0ULL / factor)
		return false;
	/* Fifteen digits of it and a factor of 2^60 are more than 64 bits. */
	if ((__uint128_t)factor * numerator % denominator)
		return false;
	fraction = (__uint128_t)factor * numerator / denominator;
	*bytes = whole * factor;
	if (*bytes > ~0ULL - fraction)
		return false;
	*bytes += fraction;
	return true;
}

const char *format_size(u64 bytes, char text[SIZE_TEXT_BYTES])
{
	static const char * const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = bytes;
	unsigned int i;

	/* What would be rounded to 1024 is 1 of the next. */
	for (i = 0; i + 1 < ARRAY_SIZE(names) && value >= (i ? 1023.95 : 1024); i++)
		value /= 1024;
	/* A decimal only if there is one. */
	if ((u64)(value * 10 + 0.5) % 10)
		snprintf(text, SIZE_TEXT_BYTES, "%.1f %s", value, names[i]);
	else
		snprintf(text, SIZE_TEXT_BYTES, "%.0f %s", value, names[i]);
	return text;
}

const char *format_duration(u64 seconds, char text[SIZE_TEXT_BYTES])
{
	u64 minutes = seconds / 60;

	if (seconds < 60)
		snprintf(text, SIZE_TEXT_BYTES, "%llu s", seconds);
	else if (minutes < 60)
		snprintf(text, SIZE_TEXT_BYTES, "%llu min %llu s", minutes, seconds % 60);
	else
		snprintf(text, SIZE_TEXT_BYTES, "%llu h %llu min", minutes / 60, minutes % 60);
	return text;
}
