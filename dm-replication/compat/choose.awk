# SPDX-License-Identifier: GPL-2.0-only
#
# awk -v results=DIR -f choose.awk PROBE.c...: prints compat-probed.h. DIR has
# what came of each probe, "yes" or "no". What a probe is for it says in its
# second line, "To NEED: ...". Of those for one need at least one has to compile:
# none does if the kernel is too old or too new, or if a probe is broken, and
# that must not look like the other form.

FNR == 2 && /^\/\* To [^:]+: / {
	name = FILENAME
	gsub(/.*\/|\.c$/, "", name)
	result = ""
	getline result < (results "/" name ".probed")
	need = $0
	gsub(/^\/\* To |:.*/, "", need)
	if (!(need in tried))
		needs[++n] = need
	named[FILENAME] = 1
	tried[need] = tried[need] (tried[need] ? ", " : "") name
	if (result == "yes") {
		met[need] = 1
		defines = defines "#define REPL_HAVE_" toupper(name) "\n"
	}
}

END {
	for (i = 1; i < ARGC; i++)
		if (!named[ARGV[i]])
			refuse(ARGV[i] " does not say what it probes for")
	for (i = 1; i <= n; i++)
		if (!met[needs[i]])
			refuse("this kernel has no known way to " needs[i] " (tried " \
			       tried[needs[i]] "): kernels 6.1 to 7.2 are supported; " \
			       "see " results "/*.log")
	if (refused)
		exit 1
	print "/* What this kernel has, by Kbuild.compat. */"
	printf "%s", defines
}

function refuse(sentence) {
	print "dm-replication: " sentence > "/dev/stderr"
	refused = 1
}
