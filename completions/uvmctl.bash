# shellcheck shell=bash
# bash completion for uvmctl. The options come from each verb's own --help, so that they can't go stale.

_uvmctl_containers() {
        uvmctl ps "$@" --format json 2>/dev/null | jq -r '.[].Name' 2>/dev/null ||
                uvmctl ps "$@" 2>/dev/null | awk 'NR > 1 { print $NF }'
}

_uvmctl_images() {
        uvmctl image list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_uvmctl_sandboxes() {
        uvmctl sandbox list 2>/dev/null | awk 'NR > 1 { print $2 }'
}

_uvmctl_volumes() {
        uvmctl volume list -q 2>/dev/null
}

_uvmctl_networks() {
        uvmctl network list -q 2>/dev/null
}

_uvmctl_verbs() {
        uvmctl --help 2>/dev/null | awk '/^  [a-z]/ { print $1 }' | sort -u
}

# What an option's argument is. Fails for options that take none or anything.
_uvmctl_option_argument() {
        case $1 in
        --sandbox) _uvmctl_sandboxes ;;
        --format) printf '%s\n' table json ;;
        --log-driver) printf '%s\n' journald none ;;
        --driver) printf '%s\n' bridge macvlan ipvlan ovs ;;
        --image-volume) printf '%s\n' anonymous tmpfs ignore ;;
        --storage) printf '%s\n' disk memory ;;
        --network | --net) printf '%s\n' none private && _uvmctl_networks ;;
        -s | --signal | --stop-signal) printf '%s\n' HUP INT QUIT KILL USR1 USR2 TERM CONT STOP ;;
        *) return 1 ;;
        esac
}

# The first plain word behind the verb, if there is one before the cursor: from there on a command follows.
_uvmctl_has_plain_word() {
        local i
        for ((i = $1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                -e | -w | -u | -m | -h | -l | -t | -s | -n | -v | -p) ((i++)) ;;
                -*) ;;
                *) return 0 ;;
                esac
        done
        return 1
}

_uvmctl() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        local verb=${COMP_WORDS[1]} first=2 words=

        COMPREPLY=()
        if ((COMP_CWORD == 1)); then
                words="$(_uvmctl_verbs) --help --version"
                mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
                return
        fi
        case $verb in
        image | sandbox | volume | disk | network)
                if ((COMP_CWORD == 2)); then
                        words=$(uvmctl --help | awk -v group="$verb" '$1 == group { print $2 }')
                        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
                        return
                fi
                verb="$verb ${COMP_WORDS[2]}"
                first=3
                ;;
        esac
        if words=$(_uvmctl_option_argument "$prev"); then
                mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
                return
        fi
        case $prev in
        -v | --volume)
                [[ $cur == [./]* ]] || words=$(_uvmctl_volumes)
                mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur"; compgen -f -- "$cur")
                return
                ;;
        --firmware | --env-file | --disk | -o | --output)
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                return
                ;;
        esac
        if [[ $cur == -* ]]; then
                # shellcheck disable=SC2086  # "image list" is two words
                words=$(uvmctl $verb --help 2>/dev/null | grep -oE -- '(^|[ ,])--?[a-z][a-z-]*')
                mapfile -t COMPREPLY < <(compgen -W "$words --help" -- "$cur")
                return
        fi
        case $verb in
        run | create) _uvmctl_has_plain_word "$first" || words=$(_uvmctl_images) ;;
        exec) _uvmctl_has_plain_word "$first" || words=$(_uvmctl_containers) ;;
        attach | stop | kill | top | stats) words=$(_uvmctl_containers) ;;
        start | rm | wait | inspect | logs | diff | export | commit | update) words=$(_uvmctl_containers -a) ;;
        'image rm') words=$(_uvmctl_images) ;;
        'volume rm' | 'volume inspect') words=$(_uvmctl_volumes) ;;
        'network inspect' | 'network rm') words=$(_uvmctl_networks) ;;
        'network attach')
                if ((COMP_CWORD > 3)); then words=$(_uvmctl_networks); else words=$(_uvmctl_containers -a); fi
                ;;
        'network detach') ((COMP_CWORD > 3)) || words=$(_uvmctl_containers -a) ;;
        port | 'network check') words=$(_uvmctl_containers) ;;
        'volume attach' | 'volume detach') ((COMP_CWORD > 3)) || words=$(_uvmctl_containers -a) ;;
        'disk attach' | 'disk detach')
                ((COMP_CWORD > 3)) || words=$(_uvmctl_containers -a)
                ((COMP_CWORD == 3)) || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                ;;
        cp)
                words=$(_uvmctl_containers -a | sed 's/$/:/')
                mapfile -t COMPREPLY < <(compgen -f -- "$cur"; compgen -W "$words" -- "$cur")
                return
                ;;
        'sandbox show') words=$(_uvmctl_sandboxes) ;;
        'image import') mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        esac
        [[ -z $words ]] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _uvmctl uvmctl
