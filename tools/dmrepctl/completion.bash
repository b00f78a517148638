# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Completion for dmrepctl. What there is comes from its own help.

# _dmrepctl_commands BEFORE: the next words of the commands that begin with that.
_dmrepctl_commands() {
	dmrepctl help 2> /dev/null | sed -n "s/^  $1\\([a-z][a-z-]*\\).*/\\1/p" | sort -u
}

_dmrepctl_options() {
	# shellcheck disable=SC2086 # one or two words
	dmrepctl help $1 2> /dev/null | sed -nE 's/^ +(-., )?(--[a-z-]+) .*/\2/p'
}

# The values of an option, or nothing; fails if it takes none.
_dmrepctl_values() {
	case $1 in
	--top|-t) dmrepctl list --noheadings -o name -S mode=secondary 2> /dev/null ;;
	--options|--sort|-O) dmrepctl status -o help 2> /dev/null | awk '{ print $1 }' ;;
	--reportformat) echo basic json ;;
	--units) echo h b s k m g t p e ;;
	--select|-S|--separator|--chunk-size|-c|--region-size|--replica-timeout) ;;
	*) return 1 ;;
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
	local command=${COMP_WORDS[1]} first=2 words files=
	[ -z "$(_dmrepctl_commands "$command ")" ] || first=3
	[ $first -eq 2 ] || command+=" ${COMP_WORDS[2]}"

	if [ "$COMP_CWORD" -eq 1 ]; then
		words=$(_dmrepctl_commands '')
	elif [ "$COMP_CWORD" -lt $first ]; then
		words=$(_dmrepctl_commands "${COMP_WORDS[1]} ")
	elif [[ $word == -* ]]; then
		words=$(_dmrepctl_options "$command")
	elif ! words=$(_dmrepctl_values "$before"); then
		words=$(_dmrepctl_arguments "$command")
		[[ ! $before =~ ^--(secondary|active|hidden|metadata|local|replica|output|config)$ ]] || files=y
		[[ ! $command =~ ^(check|dump|format|swap-replica)$ ]] || files=y
	fi
	if [ -n "$files" ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2> /dev/null
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	fi
}
complete -F _dmrepctl dmrepctl
