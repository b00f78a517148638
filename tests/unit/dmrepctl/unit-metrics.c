// SPDX-License-Identifier: GPL-2.0-only
/*
 * The format of Prometheus: samples stand together behind their HELP and TYPE, counters
 * and sizes have names that say so, labels are escaped.
 */
#include "metrics.h"
#include "test.h"

static struct device devices[3];
static struct device_list list = { .devices = devices, .n = ARRAY_SIZE(devices) };

static void set(struct device *device, const char *name, const char *line)
{
	char why[100];

	snprintf(device->name, sizeof(device->name), "%s", name);
	device->len = 8192;
	device->event_nr = 3;
	check(parse_status_line(line, &device->status, why, sizeof(why)), "%s", why);
}

static void has(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	check(at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n', "%s", line);
}

static bool is_name(const char *name)
{
	return strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name);
}

static bool ends(const char *name, const char *end)
{
	return strlen(name) > strlen(end) && !strcmp(name + strlen(name) - strlen(end), end);
}

/* The line of a sample: name{label="value",...} number */
static void check_sample(const char *line, const char *metric)
{
	const char *at = line + strlen(metric);

	check(!strncmp(line, metric, strlen(metric)) && *at == '{', "%s: %s", metric, line);
	do {
		at++;
		check(strspn(at, "abcdefghijklmnopqrstuvwxyz_"), "%s", line);
		at += strspn(at, "abcdefghijklmnopqrstuvwxyz_");
		check(at[0] == '=' && at[1] == '"', "%s", line);
		for (at += 2; *at != '"'; at++) {
			check(*at, "%s", line);
			if (*at == '\\')
				check(strchr("\\\"n", *++at), "%s", line);
		}
		at++;
	} while (*at == ',');
	check(at[0] == '}' && at[1] == ' ' && at[2], "%s", line);
	check(strspn(at + 2, "0123456789") == strlen(at + 2), "%s", line);
}

static void check_format(char *text)
{
	char metric[100] = "", name[100], type[20], seen[4096] = "", *line;

	check(text[strlen(text) - 1] == '\n');
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "# HELP %99s", metric) == 1) {
			check(is_name(metric) && !strstr(seen, metric), "%s", metric);
			snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s ", metric);
			line = strtok(NULL, "\n");
			check(sscanf(line, "# TYPE %99s %19s", name, type) == 2, "%s", line);
			check(!strcmp(name, metric), "%s", line);
			check(!strcmp(type, ends(metric, "_total") ? "counter" : "gauge"), "%s",
			      line);
			continue;
		}
		check_sample(line, metric);
	}
}

static char *print(void)
{
	size_t len;
	char *text;
	FILE *to = open_memstream(&text, &len);

	print_metrics(to, &list);
	fclose(to);
	return text;
}

void test_metrics(void)
{
	char *text;

	set(&devices[0], "a \"b\" \\c", "secondary failover 4 8 5/1024 6/1024 7/11 fail metadata-io");
	set(&devices[1], "in", "ingress running open 254:1");
	set(&devices[2], "p", "primary running insync 3/16 rw -");
	text = print();
	has(text, "dm_replication_stage{name=\"a \\\"b\\\" \\\\c\",mode=\"secondary\",stage=\"failover\"} 1");
	has(text, "dm_replication_stage{name=\"in\",mode=\"ingress\",stage=\"failover\"} 0");
	has(text, "dm_replication_stage{name=\"in\",mode=\"ingress\",stage=\"running\"} 1");
	has(text, "dm_replication_size_bytes{name=\"in\",mode=\"ingress\"} 4194304");
	has(text, "dm_replication_events_total{name=\"in\",mode=\"ingress\"} 3");
	has(text, "dm_replication_epochs_total{name=\"a \\\"b\\\" \\\\c\",mode=\"secondary\"} 4");
	has(text, "dm_replication_active_bytes{name=\"a \\\"b\\\" \\\\c\",mode=\"secondary\"} 20480");
	has(text, "dm_replication_merged_bytes{name=\"a \\\"b\\\" \\\\c\",mode=\"secondary\"} 28672");
	has(text, "dm_replication_error{name=\"a \\\"b\\\" \\\\c\",mode=\"secondary\"} 1");
	has(text, "dm_replication_error{name=\"p\",mode=\"primary\"} 0");
	has(text, "dm_replication_metadata_failed{name=\"a \\\"b\\\" \\\\c\",mode=\"secondary\"} 1");
	has(text, "dm_replication_fenced{name=\"in\",mode=\"ingress\"} 0");
	has(text, "dm_replication_insync{name=\"p\",mode=\"primary\"} 1");
	has(text, "dm_replication_dirty_regions{name=\"p\",mode=\"primary\"} 3");
	check(!strstr(text, "fenced{name=\"p\""));
	/* For promtool, where there is one. */
	fputs(text, stdout);
	check_format(text);
	free(text);

	list.n = 0;
	text = print();
	check_format(text);
	free(text);
}
