# shellcheck shell=bash
# The host suite: each folder of test/host with a `run` is a scenario, run as root in the test host;
# one with an `outside` runs here and uses dev/host itself. Two hosts take them from one queue. A
# scenario that fails or leaves something behind is not followed by others in the same host: they get
# a new one. Adds to dev/test's sums.

# A scenario's time limit and counts grow with UVM_SOAK (dev/soak).
UVM_SOAK=${UVM_SOAK:-1}
SCENARIO_SECONDS=$((600 * UVM_SOAK))
SCENARIO_HOME=/root/test/host

# The host is the scenarios' own unless the caller chose one.
scenario_host() {
        # shellcheck disable=SC2153  # of dev/lib/common.sh
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

# One scenario's line, and the end of its log if it failed. The caller's host is gone then.
scenario_report() {
        local name=$1 log started=$SECONDS rc=0
        log=$STEP_LOGS/scenario-$name.log
        scenario_try "$name" "$log" || rc=$?
        case $rc in
        0) printf 'ok host/%s (%d s)\n' "$name" $((SECONDS - started)) ;;
        77) printf 'ok host/%s # SKIP %s\n' "$name" "$(tail -n 1 "$log")" ;;
        *)
                printf 'not ok host/%s (exit %d after %d s; log: %s)\n' "$name" "$rc" \
                        $((SECONDS - started)) "$log"
                tail -n 60 "$log" | sed 's/^/    /'
                ;;
        esac
        return "$rc"
}

# scenario_worker QUEUE KEEP: runs what it takes from the queue, a directory with the file `names` and
# an empty file `lock`, in UVM_HOST; each outcome is a line of QUEUE/outcomes. KEEP: the first failure ends it.
scenario_worker() {
        local queue=$1 keep=$2 name fresh='' rc outcome
        while name=$(flock "$queue/lock" sed -i -e '1{w /dev/stdout' -e 'd}' "$queue/names") &&
                [ -n "$name" ]; do
                rc=0
                if [ -z "$fresh" ] && ! scenario_host sync --no-build; then
                        echo "not ok host/$name (no test host with this tree in it)"
                        echo failed >>"$queue/outcomes"
                        return
                fi
                fresh=yes
                # In one piece: another worker may have something to say, too.
                outcome=$(scenario_report "$name" 2>&1) || rc=$?
                flock "$queue/lock" printf '%s\n' "$outcome"
                case $rc in
                0) echo passed ;;
                77) echo skipped ;;
                *) echo failed ;;
                esac >>"$queue/outcomes"
                if [ "$rc" -ne 0 ] && [ "$rc" -ne 77 ]; then
                        [ -z "$keep" ] || break
                        scenario_host stop
                        fresh=''
                fi
        done
        [ -n "$keep" ] || scenario_host stop
}

# One worker, in the caller's host or in `test`, or several, each with a host of its own.
scenario_workers() {
        local queue=$1 keep=$2 hosts=$3 i
        if [ "$hosts" -eq 1 ]; then
                scenario_worker "$queue" "$keep"
                return
        fi
        for ((i = 1; i <= hosts; i++)); do
                UVM_HOST=test$i scenario_worker "$queue" '' &
        done
        wait
}

# A host's two processors are idle for half of most scenarios.
scenario_hosts() {
        local keep=$1 n=$2
        if [ -n "$keep" ] || [ -n "${UVM_HOST:-}" ] || [ "$n" -eq 1 ] || [ "$(nproc)" -eq 1 ]; then
                echo 1
        else
                echo 2
        fi
}

# run_scenarios KEEP [NAME...]: these, or all. KEEP: empty, or the host stays as the last left it.
run_scenarios() {
        local keep=$1 names queue
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
        queue=$(mktemp -d)
        printf '%s\n' "${names[@]}" >"$queue/names"
        touch "$queue/lock" "$queue/outcomes"
        scenario_workers "$queue" "$keep" "$(scenario_hosts "$keep" ${#names[@]})"
        # What nobody took, for want of a host, has failed as well.
        sed 's/.*/failed/' "$queue/names" >>"$queue/outcomes"
        awk '{ n[$1]++ } END { print "#", n["passed"] + 0, n["failed"] + 0, n["skipped"] + 0 }' \
                "$queue/outcomes" >"$queue/report"
        account "$queue/report"
        rm -r "$queue"
        [ -z "$keep" ] || say "enter it with: UVM_HOST=${UVM_HOST:-test} dev/host shell"
}
