# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Completion for dmrepctl. What there is comes from its own help.

# _dmrepctl_commands BEFORE: the next words of the commands that begin with that.
_dmrepctl_commands() {
	dmrepctl help 2> /dev/null | sed -n "s/^  $1\\([a-z][a-z-]*\\).*/\\1/p" | sort -u
}

# _dmrepctl_options COMMAND: its options, a line each: LETTER NAME VALUE, with - for what
# an option has not.
_dmrepctl_options() {
	# shellcheck disable=SC2086 # one or two words
	dmrepctl help $1 2> /dev/null |
		sed -nE 's/^ +(-(.), )?--([a-z-]+)( ([A-Z]+))? .*/-\2 --\3 -\5/p'
}

# What the option takes, as the command's help calls it: DEVICE; nothing, if it takes none.
# _dmrepctl_value COMMAND OPTION
_dmrepctl_value() {
	_dmrepctl_options "$1" | while read -r letter name value; do
		[ "$2" != "$letter" ] && [ "$2" != "$name" ] || echo "${value#-}"
	done
}

# The values of that kind; fails if they are files.
_dmrepctl_values() {
	case $1 in
	DEVICE|FILE) return 1 ;;
	VIEW) dmrepctl list --noheadings -o name -S mode=secondary 2> /dev/null ;;
	FIELDS) dmrepctl status -o help 2> /dev/null | awk '{ print $1 }' ;;
	FORMAT) echo basic json ;;
	UNIT) echo h b s k m g t p e ;;
	esac
}

# The arguments of a command.
_dmrepctl_arguments() {
	case $1 in
	help) _dmrepctl_commands '' ;;
	create*|check|dump|format|version|events|metrics) ;;
	up|down) sed -n 's/^[[:space:]"]*\([^][:space:]#{}"=]*\)"*[[:space:]]*{.*/\1/p' \
		/etc/dmrepctl.conf /etc/dmrepctl.conf.d/*.conf 2> /dev/null ;;
	*) dmrepctl list --noheadings -o name 2> /dev/null ;;
	esac
}

_dmrepctl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} first=2 words files='' value='' begin=''
	[ -z "$(_dmrepctl_commands "$command ")" ] || first=3
	[ $first -eq 2 ] || command+=" ${COMP_WORDS[2]}"

	# --name=value is three words here.
	[ "$word" != = ] || word=
	[ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $before != -?* || $COMP_CWORD -lt $first ]] || value=$(_dmrepctl_value "$command" "$before")
	if [ "$COMP_CWORD" -eq 1 ]; then
		words=$(_dmrepctl_commands '')
	elif [ "$COMP_CWORD" -lt $first ]; then
		words=$(_dmrepctl_commands "${COMP_WORDS[1]} ")
	elif [ -n "$value" ]; then
		words=$(_dmrepctl_values "$value") || files=y
		# Several, of which the last one is completed.
		[[ $value != FIELDS || ! $word =~ ^([-+]|.*,-?) ]] || begin=${BASH_REMATCH[0]}
	elif [[ $word == -* ]]; then
		words=$(_dmrepctl_options "$command" | awk '{ print $2 }')
	else
		words=$(_dmrepctl_arguments "$command")
		[[ ! $command =~ ^(check|dump|format|swap-replica|swap-metadata)$ ]] || files=y
	fi
	if [ -n "$files" ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2> /dev/null
	else
		mapfile -t COMPREPLY < <(compgen -P "$begin" -W "$words" -- "${word#"$begin"}")
	fi
}
complete -F _dmrepctl dmrepctl
