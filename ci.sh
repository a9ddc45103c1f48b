#!/usr/bin/env bash
# The only definition of green. Installs what the tests need (Debian packages), runs everything, and
# ends with a summary of what ran, what failed and what did not run.
#
#   ./ci.sh              everything; on two cores 25 to 35 minutes, the first time 10 more for Collector and Jaeger
#   ./ci.sh --kills=1000 the crash test kills the router so often (50 times, or 12 with --quick)
#   ./ci.sh --seeds=5000 the simulation plays so many worlds (320 without it)
#   ./ci.sh --quick      without the parts that need other programs (real parts are NOT RUN, and it says so)
#
# Tiers: *core* needs Rust only; *stack* needs the real parts: Debian's packages, and the Collector and
# Jaeger, which it builds with Go, once. Each step prints its time and its budget;
# a budget that is broken is shown, and fails nothing.
set -u
cd "$(dirname "$0")" || exit 1
export CARGO_TERM_COLOR=never RUST_BACKTRACE=1

quick=no kills= seeds=
for argument in "$@"; do
  case "$argument" in
    --quick) quick=yes ;;
    --kills=[1-9]*) kills=${argument#*=} ;;
    --seeds=[1-9]*) seeds=${argument#*=} ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "ci.sh: unknown argument $argument; try --help" >&2; exit 2 ;;
  esac
done

logs=${CARGO_TARGET_DIR:-target}/ci
if ! mkdir -p "$logs" || ! [ -w "$logs" ]; then
  echo "ci.sh: cannot write to $logs: use a clone of your own, or name another folder with CARGO_TARGET_DIR" >&2
  exit 1
fi
passed=() failed=() skipped=()
started=$SECONDS
total=2700

# The log of a step.
log_of() { printf '%s/%s.log' "$logs" "$(printf %s "$1" | tr -c 'A-Za-z0-9' '-')"; }

# run NAME BUDGET COMMAND…: one step and its budget in seconds, its output in a log, the log shown if it
# fails. A command that ends with 3 cannot run here, and the last line of its output says why.
run() {
  local name=$1 budget=$2 begin=$SECONDS status=0
  shift 2
  printf '==> %s\n' "$name"
  "$@" >"$(log_of "$name")" 2>&1 || status=$?
  ended "$name" "$budget" $((SECONDS - begin)) $status
}

# begin NAME COMMAND…: a step that runs beside those that follow, until `finish`. In a process group of its
# own, which ends with this script; only one at a time.
beside=
begin() {
  local log
  log=$(log_of "$1")
  printf '==> %s (beside what follows)\n' "$1"
  shift
  rm -f "$log" "$log.end"
  set -m
  {
    begin=$SECONDS status=0
    "$@" >"$log" 2>&1 || status=$?
    printf '%d %d\n' $((SECONDS - begin)) $status >"$log.end"
  } </dev/null &
  beside=$!
  set +m
}
trap '[ -z "$beside" ] || kill -TERM -- "-$beside" 2>/dev/null' EXIT

# finish NAME BUDGET: waits for what was begun.
finish() {
  local took=0 status=1
  printf '==> %s (to its end)\n' "$1"
  wait "$beside"
  beside=
  read -r took status <"$(log_of "$1").end"
  ended "$1" "$2" "$took" "$status"
}

# ended NAME BUDGET SECONDS STATUS: writes down how a step went, and returns its status.
ended() {
  local name=$1 took="$3 s of $2 s" log
  [ "$3" -le "$2" ] || took="$took: OVER BUDGET"
  log=$(log_of "$name")
  case $4 in
    0) passed+=("$name ($took)") ;;
    3) not_run "$name" "$(tail -n 1 "$log")" ;;
    *)
      failed+=("$name ($took)")
      printf -- '--- %s failed; the end of %s:\n' "$name" "$log"
      tail -n 80 "$log"
      ;;
  esac
  return "$4"
}

not_run() {
  printf '!!! NOT RUN: %s: %s\n' "$1" "$2"
  skipped+=("$1: $2")
}

# Debian packages of the real parts. Where they cannot be installed the tests name what is missing.
packages=(prometheus prometheus-alertmanager postfix dovecot-imapd redis-server chromium python3 python3-venv
  python3-prometheus-client git)

# What nothing works without. Debian's own Rust is too old to say so itself.
rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
found=$(cargo --version 2>/dev/null | cut -d' ' -f2)
if ! printf '%s\n' "$rust" "${found:-0}" | sort -V -C; then
  echo "ci.sh: Rust $rust or newer is missing (found: ${found:-none}): get it from https://rustup.rs, or: rustup update" >&2
  exit 1
fi
if ! command -v cc >/dev/null; then
  echo "ci.sh: a C compiler is missing: apt-get install gcc" >&2
  exit 1
fi

if [ "$quick" = yes ]; then
  not_run "packages" "--quick was given; tests on real parts say themselves what is missing"
else
  run "packages" 180 demo/parts/packages.sh "${packages[@]}"
fi

# Beside the compilers of ours: a good part of it is downloads, and linking on one core.
if [ "$quick" = yes ]; then
  not_run "Collector and Jaeger" "--quick was given; they are built by demo/parts/build.sh"
else
  begin "Collector and Jaeger" demo/parts/build.sh --fetch-go
fi

run "format" 30 cargo fmt --all --check
# What people run is what is killed: the crash test and the end-to-end tests get the release binary.
if [ "$quick" = no ]; then
  run "release build" 540 cargo build --locked --release -p alert-router
  export ALERT_ROUTER_BIN="${CARGO_TARGET_DIR:-$PWD/target}/release/alert-router"
fi

# The tests, and the demo as its users build it.
test_build() {
  cargo test --locked --workspace --no-run && cargo build --locked --package demo --bin demo
}
run "test build" 540 test_build
export DEMO_BIN="${CARGO_TARGET_DIR:-$PWD/target}/debug/demo"

# Tier stack: once these are built, a test that misses them fails instead of saying NOT RUN.
if [ "$quick" = no ] && finish "Collector and Jaeger" 720; then
  export CI_STACK=1 STACK_OUTAGE_SECONDS=60
fi

# telemetry-lib with each of its features alone, and with none: the workspace enables them all together.
features_alone() {
  local feature features
  features=$(sed -n '/^\[features\]/,/^\[dependencies\]/s/^\([a-z-]*\) = \[.*/\1/p' telemetry-lib/Cargo.toml)
  for feature in "" $features; do
    echo "== ${feature:-none}"
    "${calmly[@]}" cargo clippy --locked -p telemetry-lib --lib --no-default-features --features "$feature" -- -D warnings || return
  done
}

[ "$quick" = yes ] && : "${kills:=12}"
export CRASH_KILLS="${kills:-50}"
[ -n "$seeds" ] && export SIMULATION_SEEDS="$seeds"

tests=(cargo test --locked --workspace --no-fail-fast)
# Lets whoever waits for a moment have it.
calmly=(nice -n 19)

# All that `cargo test --workspace` runs, but for what has a step of its own: two targets, and the examples in
# documents. Targets are asked for, so that a new one is run.
other_tests() {
  local targets
  targets=$(cargo metadata --locked --no-deps --format-version 1 |
    grep -o '"kind":\["test"\],"crate_types":\["bin"\],"name":"[^"]*"' | cut -d'"' -f12 |
    grep -vx -e chain -e simulation | sort -u | sed 's/^/--test=/')
  [ -n "$targets" ] || { echo "ci.sh: cargo names no tests"; return 1; }
  # shellcheck disable=SC2086 # one word for each target
  "${tests[@]}" --lib --bins $targets
}

# The chain waits most of its time, for rules and for people to hear. Meanwhile the compiler and the
# simulation, whose time is virtual, take what it leaves of the processors: `nice` gives them a seventieth of
# what the chain may have. All other tests have the machine for themselves, and so have the faults, which say
# to the second what a Collector that is killed may lose.
begin "tests: chain" "${tests[@]}" --test chain -- --skip faults::
# From then on it holds no lock that another cargo would wait for.
until grep -qs '^ *Running ' "$(log_of "tests: chain")" || ! kill -0 "$beside" 2>/dev/null; do sleep 1; done
run "lints" 600 "${calmly[@]}" cargo clippy --locked --workspace --all-targets -- -D warnings
run "features alone" 180 features_alone
run "docs" 300 "${calmly[@]}" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
run "tests: documents" 180 "${calmly[@]}" "${tests[@]}" --doc
run "tests: simulation" 240 "${calmly[@]}" "${tests[@]}" --test simulation
finish "tests: chain" 780
run "tests: faults" 240 "${tests[@]}" --test chain -- faults::
run "tests: others" 600 other_tests

if command -v cargo-deny >/dev/null; then
  run "dependency policy" 30 cargo deny --offline check bans licenses sources
else
  not_run "dependency policy" "cargo-deny is not installed (cargo install cargo-deny); tests/tidy checks TLS and duplicates"
fi

# The counts of all test binaries, added up.
told=()
for name in chain faults documents simulation others; do told+=("$(log_of "tests: $name")"); done
counts=$(awk '/^test result:/ {p += $4; f += $6; i += $8} END {printf "%d %d %d", p, f, i}' "${told[@]}")
read -r tests_passed tests_failed tests_ignored <<<"$counts"

printf '\n===== summary (%d s of %d s) =====\n' $((SECONDS - started)) $total
printf 'ok       %s\n' "${passed[@]}"
[ ${#skipped[@]} -gt 0 ] && printf 'NOT RUN  %s\n' "${skipped[@]}"
# What did not run, and what is known to be wrong and runs all the same.
grep -h -e '^NOT RUN' -e '^KNOWN OPEN' "${told[@]}" | sort -u
[ ${#failed[@]} -gt 0 ] && printf 'FAILED   %s\n' "${failed[@]}"
printf '%d passed, %d failed, %d skipped\n' "$tests_passed" "$tests_failed" "$tests_ignored"
[ ${#failed[@]} -eq 0 ] && [ "$tests_passed" -gt 0 ]
