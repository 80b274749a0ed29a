# shellcheck shell=bash
# The host suite: each folder of test/host with a `run` is a scenario, run as root in the test host;
# one with an `outside` runs here and uses dev/host itself. A scenario that fails or leaves something
# behind is not followed by others in the same host: they get a new one. Adds to dev/test's sums.

# A scenario's time limit and counts grow with UVM_SOAK (dev/soak).
UVM_SOAK=${UVM_SOAK:-1}
SCENARIO_SECONDS=$((600 * UVM_SOAK))
SCENARIO_HOME=/root/test/host

# The host is the scenarios' own unless the caller chose one.
scenario_host() {
        UVM_HOST=${UVM_HOST:-test} "$UVM_ROOT/dev/host" "$@"
}

scenario_names() {
        local path
        for path in "$UVM_ROOT"/test/host/*/{run,outside}; do
                if [ -x "$path" ]; then
                        basename "$(dirname "$path")"
                fi
        done | LC_ALL=C sort -u
}

# Output in $2. 77 means skipped.
scenario_run() {
        local name=$1 log=$2
        if [ -x "$UVM_ROOT/test/host/$name/outside" ]; then
                (cd "$UVM_ROOT" && UVM_HOST=${UVM_HOST:-test} timeout "$SCENARIO_SECONDS" \
                        "test/host/$name/outside") </dev/null >"$log" 2>&1
        else
                UVM_HOST=${UVM_HOST:-test} timeout "$SCENARIO_SECONDS" "$UVM_ROOT/dev/host" \
                        run -n -e "UVM_SOAK=$UVM_SOAK" -C "$SCENARIO_HOME/$name" "$SCENARIO_HOME/scenario" \
                        "$name" </dev/null >"$log" 2>&1
        fi
}

# The same, and in CI once more in a new host when it failed: the emulated CPU has been seen to hang.
# Both tries are told, so that what fails only sometimes is not hidden.
scenario_try() {
        local name=$1 log=$2 rc=0
        scenario_run "$name" "$log" || rc=$?
        if [ "$rc" -eq 0 ] || [ "$rc" -eq 77 ] || [ -z "${CI:-}" ]; then
                return "$rc"
        fi
        printf '# host/%s: exit %d at the first try; once more in a new host\n' "$name" "$rc"
        tail -n 20 "$log" | sed 's/^/#   /'
        scenario_host stop
        scenario_host sync --no-build && scenario_run "$name" "$log"
}

# run_scenarios KEEP [NAME...]: these, or all. KEEP: empty, or the host stays as the last left it.
run_scenarios() {
        local keep=$1 names name log rc started fresh=''
        shift
        names=("$@")
        if [ $# -eq 0 ]; then
                mapfile -t names < <(scenario_names)
        fi
        if [ ${#names[@]} -eq 0 ]; then
                skip_suite host "no scenarios"
                return
        fi
        mkdir -p "$STEP_LOGS"
        for name in "${names[@]}"; do
                if [ -z "$fresh" ] && ! scenario_host sync --no-build; then
                        printf 'not ok host/%s (no test host with this tree in it)\n' "$name"
                        failed=$((failed + 1))
                        break
                fi
                fresh=yes
                log=$STEP_LOGS/scenario-$name.log started=$SECONDS rc=0
                scenario_try "$name" "$log" || rc=$?
                case $rc in
                0)
                        printf 'ok host/%s (%d s)\n' "$name" $((SECONDS - started))
                        passed=$((passed + 1))
                        ;;
                77)
                        printf 'ok host/%s # SKIP %s\n' "$name" "$(tail -n 1 "$log")"
                        skipped=$((skipped + 1))
                        ;;
                *)
                        printf 'not ok host/%s (exit %d after %d s; log: %s)\n' "$name" "$rc" \
                                $((SECONDS - started)) "$log"
                        tail -n 60 "$log" | sed 's/^/    /'
                        failed=$((failed + 1))
                        [ -n "$keep" ] && break
                        scenario_host stop
                        fresh=''
                        ;;
                esac
        done
        if [ -n "$keep" ]; then
                say "enter it with: UVM_HOST=${UVM_HOST:-test} dev/host shell"
        else
                scenario_host stop
        fi
}
