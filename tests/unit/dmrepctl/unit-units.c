// SPDX-License-Identifier: GPL-2.0-only
#include "test.h"
#include "units.h"

#define KIB	1024ULL
#define EIB	(1ULL << 60)

static const struct {
	const char *text;
	u64 bytes;
} good[] = {
	{ "0", 0 },
	{ "4096", 4096 },
	{ "4096b", 4096 },
	{ "4096B", 4096 },
	{ "8s", 4096 },
	{ "8S", 4096 },
	{ "4k", 4 * KIB },
	{ "4K", 4 * KIB },
	{ "4KiB", 4 * KIB },
	{ "4kib", 4 * KIB },
	{ "4KB", 4 * KIB },
	{ "1.5G", 3 * KIB * KIB * KIB / 2 },
	{ "0.5k", 512 },
	{ "1.0", 1 },
	{ "1.0009765625k", 1025 },
	{ "007k", 7 * KIB },
	{ "1m", KIB * KIB },
	{ "1T", KIB * KIB * KIB * KIB },
	{ "1P", EIB / KIB },
	{ "15E", 15 * EIB },
	{ "15.5E", 15 * EIB + EIB / 2 },
	{ "18446744073709551609", 18446744073709551609ULL },
};

static const char * const bad[] = {
	"", " ", "k", "-1", "+1", " 1", "1 ", "1 k", "1x", "1kk", "1kx", "1ki", "1kibb", "1sb",
	"0x10", "1e3", "1.", ".5", "1.k", "1..5k", "1.5", "1.3k", "1.12345678901k", "1,5k", "1.-5k",
	"16E", "18014398509481984k", "18446744073709551616", "99999999999999999999999", "nan", "inf",
};

static const struct {
	u64 bytes;
	const char *text;
} sizes[] = {
	{ 0, "0 B" },
	{ 512, "512 B" },
	{ 1023, "1023 B" },
	{ 1024, "1 KiB" },
	{ 1536, "1.5 KiB" },
	{ 4096, "4 KiB" },
	{ KIB * KIB - 1, "1 MiB" },
	{ KIB * KIB, "1 MiB" },
	{ 69312512, "66.1 MiB" },
	{ 1023 * KIB, "1023 KiB" },
	{ ~0ULL, "16 EiB" },
};

static const struct {
	u64 seconds;
	const char *text;
} durations[] = {
	{ 0, "0 s" },
	{ 59, "59 s" },
	{ 60, "1 min 0 s" },
	{ 3599, "59 min 59 s" },
	{ 3600, "1 h 0 min" },
	{ 90000, "25 h 0 min" },
	{ ~0ULL, "5124095576030431 h 0 min" },
};

void test_units(void)
{
	char text[SIZE_TEXT_BYTES];
	unsigned int i;
	u64 bytes;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		check(parse_size(good[i].text, &bytes), "%s", good[i].text);
		check(bytes == good[i].bytes, "%s: %llu", good[i].text, bytes);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		check(!parse_size(bad[i], &bytes), "%s: %llu", bad[i], bytes);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		format_size(sizes[i].bytes, text);
		check(!strcmp(text, sizes[i].text), "%llu: %s", sizes[i].bytes, text);
	}
	for (i = 0; i < ARRAY_SIZE(durations); i++) {
		format_duration(durations[i].seconds, text);
		check(!strcmp(text, durations[i].text), "%llu: %s", durations[i].seconds, text);
	}
}
