// SPDX-License-Identifier: GPL-2.0-only
#include "library.h"
#include "report.h"
#include "test.h"

static struct device devices[] = {
	{ .name = "inlet", .major = 254, .minor = 2, .len = 131072, .open_count = 1 },
	{ .name = "view", .uuid = "DMREPL-x", .major = 254, .minor = 1, .len = 131072,
	  .event_nr = 2 },
	{ .name = "view2", .major = 254, .minor = 3, .len = 1ULL << 41, .suspended = true },
};

static const char * const lines[] = {
	"ingress failover fenced 254:1",
	"secondary failover 3 8 1133/16384 845/16384 452/2429 rw -",
	"secondary failover-failed 12 2048 7/1048576 0/1048576 5/12 - merge-io",
};

static struct device_list list = { .devices = devices, .n = ARRAY_SIZE(devices) };

static void fill_devices(void)
{
	unsigned int i;
	char why[100];

	for (i = 0; i < ARRAY_SIZE(devices); i++)
		check(parse_status_line(lines[i], &devices[i].status, why, sizeof(why)), "%s", why);
}

/* What is printed, in memory that is the next call's too. */
static const char *printed(const struct report_options *options, enum outcome expected)
{
	static char *text;
	size_t len;
	FILE *before = stdout;
	enum outcome outcome;

	free(text);
	stdout = open_memstream(&text, &len);
	check(stdout, "out of memory");
	outcome = print_report(options, &list, &list);
	fclose(stdout);
	stdout = before;
	check(outcome == expected, "%d: %s", outcome, text);
	return text;
}

static void is(const char *got, const char *expected)
{
	check(!strcmp(got, expected), "\ngot:\n%s\nexpected:\n%s", got, expected);
}

static struct report_options usual(const char *fields)
{
	return (struct report_options){
		.fields = fields, .sort = "name", .units = "h", .headings = true, .suffix = true,
	};
}

static void tables(void)
{
	struct report_options o =
		usual("name,mode,stage,epoch,active,hidden,progress,metadata,error,top");

	is(printed(&o, DONE),
	   "Name  Mode      Stage           Epoch Active Hidden Merge% Meta Error    Top\n"
	   "inlet ingress   failover                                                 view\n"
	   "view  secondary failover            3  4.43m  3.30m  18.60 rw   -\n"
	   "view2 secondary failover-failed    12  7.00m     0   41.66 -    merge-io\n");
	o = usual("name,active,size");
	o.separator = ":";
	o.units = "s";
	o.headings = false;
	is(printed(&o, DONE), "inlet::131072S\nview:9064S:131072S\nview2:14336S:2199023255552S\n");
	o.suffix = false;
	is(printed(&o, DONE), "inlet::131072\nview:9064:131072\nview2:14336:2199023255552\n");
	o.units = "B";
	is(printed(&o, DONE), "inlet::67108864\nview:4640768:67108864\nview2:7340032:1125899906842624\n");
}

static void sorted(void)
{
	struct report_options o = usual("name");

	o.headings = false;
	o.sort = "-active";
	is(printed(&o, DONE), "view2\nview\ninlet\n");
	o.sort = "size,-name";
	is(printed(&o, DONE), "view\ninlet\nview2\n");
	o.sort = "-progress";
	is(printed(&o, DONE), "view2\nview\ninlet\n");
	o.sort = "epoch";
	is(printed(&o, DONE), "inlet\nview\nview2\n");
}

static void selected(void)
{
	static const struct {
		const char *select, *names;
	} selections[] = {
		{ "mode=secondary", "view\nview2\n" },
		{ "stage=failover", "inlet\nview\n" },
		{ "epoch>3", "view2\n" },
		{ "active>4m", "view\nview2\n" },
		{ "active>5m", "view2\n" },
		{ "size>=1t", "view2\n" },
		{ "progress<20", "inlet\nview\n" },
		{ "mode=secondary && progress<20", "view\n" },
		{ "progress>=41", "view2\n" },
		{ "error=~io$", "view2\n" },
		{ "top=view || name=view2", "inlet\nview2\n" },
		{ "name=nobody", "" },
		{ "stage='none'", "" },
		{ "sync=degraded || error=local-io,suspended=no", "" },
		{ "!(stage=running) && metadata=\"rw\"", "view\n" },
		{ "stage =~ over-f", "view2\n" },
		{ "fence=\"\"", "view\nview2\n" },
		{ "name='a stage=x'", "" },
	};
	struct report_options o = usual("name");
	unsigned int i;

	o.headings = false;
	o.separator = " ";
	for (i = 0; i < ARRAY_SIZE(selections); i++) {
		o.select = selections[i].select;
		is(printed(&o, DONE), selections[i].names);
	}
}

/* What no device can have selects nothing, which looks as if all was well. */
static void misspelled(void)
{
	static const char * const selections[] = {
		"stage=run", "stage=runnin_", "stage=runningg", "stage=Running", "stage=", "stage!=don",
		"stage=\"running \"", "stage=[running]", "Stage=x", "name=view && (stage = 'x')",
		"mode=view", "sync=in-sync", "sync=\"resynch\"", "metadata=ro", "metadata = failed",
		"error=merge", "error=none", "fence=closed", "suspended=1", "stage=~runs",
		"epoch>3,error=~iox", "name=\"stage=running\" || stage=failed",
	};
	struct report_options o = usual("name");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(selections); i++) {
		o.select = selections[i];
		is(printed(&o, WRONG_USAGE), "");
	}
}

/* But a module that is newer than the tool may say more. */
static void newer(void)
{
	struct report_options o = usual("name");

	o.headings = false;
	o.select = "metadata=newer";
	strcpy(devices[1].status.metadata, "newer");
	is(printed(&o, DONE), "view\n");
	strcpy(devices[1].status.metadata, "rw");
	printed(&o, WRONG_USAGE);
}

static void json(void)
{
	struct report_options o = usual("name,epoch,active,progress,error,suspended,top");

	o.json = true;
	is(printed(&o, DONE),
	   "{\n"
	   "  \"version\":1,\n"
	   "  \"devices\":[\n"
	   "    {\n"
	   "      \"name\":\"inlet\",\n"
	   "      \"epoch\":null,\n"
	   "      \"active\":null,\n"
	   "      \"progress\":null,\n"
	   "      \"error\":null,\n"
	   "      \"suspended\":false,\n"
	   "      \"top\":\"view\"\n"
	   "    },\n"
	   "    {\n"
	   "      \"name\":\"view\",\n"
	   "      \"epoch\":3,\n"
	   "      \"active\":4640768,\n"
	   "      \"progress\":18.60,\n"
	   "      \"error\":null,\n"
	   "      \"suspended\":false,\n"
	   "      \"top\":null\n"
	   "    },\n"
	   "    {\n"
	   "      \"name\":\"view2\",\n"
	   "      \"epoch\":12,\n"
	   "      \"active\":7340032,\n"
	   "      \"progress\":41.66,\n"
	   "      \"error\":\"merge-io\",\n"
	   "      \"suspended\":true,\n"
	   "      \"top\":null\n"
	   "    }\n"
	   "  ]\n"
	   "}\n");
	o.fields = "name,size";
	o.select = "name=view2";
	o.units = "k";	/* JSON has bytes */
	is(printed(&o, DONE),
	   "{\n"
	   "  \"version\":1,\n"
	   "  \"devices\":[\n"
	   "    {\n"
	   "      \"name\":\"view2\",\n"
	   "      \"size\":1125899906842624\n"
	   "    }\n"
	   "  ]\n"
	   "}\n");
	snprintf(devices[2].name, sizeof(devices[2].name), "a \\ \"");
	o.fields = "name";
	o.select = "size>=1t";
	is(printed(&o, DONE),
	   "{\n"
	   "  \"version\":1,\n"
	   "  \"devices\":[\n"
	   "    {\n"
	   "      \"name\":\"a \\\\ \\\"\"\n"
	   "    }\n"
	   "  ]\n"
	   "}\n");
	snprintf(devices[2].name, sizeof(devices[2].name), "view2");
	o.select = "name=nobody";
	is(printed(&o, DONE), "{\n  \"version\":1,\n  \"devices\":[\n  ]\n}\n");
}

static void colours(void)
{
	struct report_options o = usual("name,stage,error");

	o.colour = true;
	o.select = "name=view2";
	o.headings = false;
	is(printed(&o, DONE),
	   "view2 \033[31mfailover-failed\033[m \033[31mmerge-io\033[m\n");
}

static void terminals(void)
{
	struct report_options o = usual("name,sync,stage,dirty_regions,error");

	o.compact = true;
	is(printed(&o, DONE),
	   "Name  Stage           Error\n"
	   "inlet failover\n"
	   "view  failover        -\n"
	   "view2 failover-failed merge-io\n");
	o.columns = 24;
	o.colour = true;
	is(printed(&o, DONE),
	   "Name  Stage           Er\n"
	   "inlet failover\n"
	   "view  failover        -\n"
	   "view2 \033[31mfailover-failed\033[m me\n");
	/* Of what is cut in the middle it cannot be told any more. */
	o.columns = 20;
	o.headings = false;
	o.select = "name=view2";
	is(printed(&o, DONE), "view2 failover-faile\n");
}

static void wrong(void)
{
	static const char * const fields[] = { "", "frobnicate", "name,,x", "name mode" };
	static const char * const selections[] = { "frobnicate=1", "epoch=x", "name", "name=a &&" };
	static const char * const units[] = { "x", "", "kk", "-1" };
	struct report_options o;
	unsigned int i;

	for (i = 1; i < ARRAY_SIZE(fields); i++) {
		o = usual(fields[i]);
		printed(&o, WRONG_USAGE);
		o = usual("name");
		o.sort = fields[i];
		printed(&o, WRONG_USAGE);
	}
	for (i = 0; i < ARRAY_SIZE(selections); i++) {
		o = usual("name");
		o.select = selections[i];
		printed(&o, WRONG_USAGE);
	}
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		o = usual("name");
		o.units = units[i];
		printed(&o, WRONG_USAGE);
	}
}

void test_report(void)
{
	library_init();
	fill_devices();
	tables();
	sorted();
	selected();
	misspelled();
	newer();
	json();
	colours();
	terminals();
	wrong();
}
