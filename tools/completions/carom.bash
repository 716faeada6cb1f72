# Completion of carom for bash. What there is to complete is asked of the program itself, so it is
# what that has: commands and options by --help, and of each option whether it takes a word.

# options of "carom COMMAND": one a line, with the word that it takes behind it. In the help there
# may be two on a line.
_carom_options()
{
	"$@" --help 2>/dev/null | sed -E 's/ {2,}((-[[:alnum:]], )?--[a-z])/\n  \1/g' |
		sed -nE -e 's/^ {2,6}((-[[:alnum:]]), )?(--[a-z][a-z-]*)((( [^ ]+)+)|\[?=[^ ]+)?(  .*)?$/\2\5\n\3\5/p' \
			-e 's/^ {2,6}(-[[:alnum:]])( [^ ]+)?(  .*)?$/\1\2/p' |
		sed '/^-/!d'
}

_carom_commands()
{
	"$1" --help 2>/dev/null | sed -nE '/^Commands:/,/^$/s/^  ([a-z]+) .*/\1/p'
}

# the word that option $2 takes, of those in $1
_carom_word_of()
{
	sed -nE "s/^$2 (.*)/\1/p" <<<"$1"
}

_carom()
{
	local word=$2 previous=$3 options command i taken=

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$(_carom_commands "$1") --help --version" -- "$word")
		return
	fi
	command=${COMP_WORDS[1]}
	options=$(_carom_options "$1" "$command")
	for ((i = 2; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} != -* ]]; then # the command that it is to run
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
			return
		fi
		taken=$(_carom_word_of "$options" "${COMP_WORDS[i]}")
		[[ -z $taken ]] || ((i++))
	done
	taken=
	[[ $previous != -* ]] || taken=$(_carom_word_of "$options" "$previous")
	case "$taken" in
	FILE | DIR | DIRECTORY) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	*\|*) mapfile -t COMPREPLY < <(compgen -W "${taken//|/ }" -- "$word") ;;
	?*) ;; # a number, a time: nothing to offer
	*)
		if [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(sed 's/ .*//' <<<"$options")" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -c -- "$word")
		fi
		;;
	esac
}

complete -o filenames -F _carom carom
