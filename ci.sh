#!/usr/bin/env bash
# The only definition of green. Installs what the tests need (Debian packages), runs everything, and
# ends with a summary of what ran, what failed and what did not run.
#
#   ./ci.sh              everything; on two cores about 40 minutes, the first time 10 more for Collector and Jaeger
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

# run NAME BUDGET COMMAND…: one step and its budget in seconds, its output in a log, the log shown if it
# fails. A command that ends with 3 cannot run here, and the last line of its output says why.
run() {
  local name=$1 budget=$2 begin=$SECONDS log status=0 took
  log="$logs/$(printf %s "$name" | tr -c 'A-Za-z0-9' '-').log"
  shift 2
  printf '==> %s\n' "$name"
  "$@" >"$log" 2>&1 || status=$?
  took="$((SECONDS - begin)) s of $budget s"
  [ $((SECONDS - begin)) -le "$budget" ] || took="$took: OVER BUDGET"
  case $status in
    0) passed+=("$name ($took)") ;;
    3) not_run "$name" "$(tail -n 1 "$log")" ;;
    *)
      failed+=("$name ($took)")
      printf -- '--- %s failed; the end of %s:\n' "$name" "$log"
      tail -n 80 "$log"
      ;;
  esac
  return $status
}

not_run() {
  printf '!!! NOT RUN: %s: %s\n' "$1" "$2"
  skipped+=("$1: $2")
}

# Debian packages of the real parts. Where they cannot be installed the tests name what is missing.
packages=(prometheus prometheus-alertmanager postfix dovecot-imapd redis-server chromium python3 python3-venv git)

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

# Tier stack: once these are built, a test that misses them fails instead of saying NOT RUN.
if [ "$quick" = yes ]; then
  not_run "Collector and Jaeger" "--quick was given; they are built by demo/parts/build.sh"
elif run "Collector and Jaeger" 720 demo/parts/build.sh --fetch-go; then
  export CI_STACK=1 STACK_OUTAGE_SECONDS=60
fi

# telemetry-lib with each of its features alone, and with none: the workspace enables them all together.
features_alone() {
  local feature features
  features=$(sed -n '/^\[features\]/,/^\[dependencies\]/s/^\([a-z-]*\) = \[.*/\1/p' telemetry-lib/Cargo.toml)
  for feature in "" $features; do
    echo "== ${feature:-none}"
    cargo clippy --locked -p telemetry-lib --lib --no-default-features --features "$feature" -- -D warnings || return
  done
}

run "format" 30 cargo fmt --all --check
run "lints" 480 cargo clippy --locked --workspace --all-targets -- -D warnings
run "features alone" 120 features_alone
# What people run is what is killed: the crash test and the end-to-end tests get the release binary.
if [ "$quick" = no ]; then
  run "release build" 540 cargo build --locked --release -p alert-router
  export ALERT_ROUTER_BIN="${CARGO_TARGET_DIR:-$PWD/target}/release/alert-router"
fi
[ "$quick" = yes ] && : "${kills:=12}"
export CRASH_KILLS="${kills:-50}"
[ -n "$seeds" ] && export SIMULATION_SEEDS="$seeds"
run "tests" 1500 cargo test --locked --workspace --no-fail-fast
run "docs" 240 env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

if command -v cargo-deny >/dev/null; then
  run "dependency policy" 30 cargo deny --offline check bans licenses sources
else
  not_run "dependency policy" "cargo-deny is not installed (cargo install cargo-deny); tests/tidy checks TLS and duplicates"
fi

# The counts of all test binaries, added up.
counts=$(awk '/^test result:/ {p += $4; f += $6; i += $8} END {printf "%d %d %d", p, f, i}' "$logs/tests.log")
read -r tests_passed tests_failed tests_ignored <<<"$counts"

printf '\n===== summary (%d s of %d s) =====\n' $((SECONDS - started)) $total
printf 'ok       %s\n' "${passed[@]}"
[ ${#skipped[@]} -gt 0 ] && printf 'NOT RUN  %s\n' "${skipped[@]}"
# What did not run, and what is known to be wrong and runs all the same.
grep -h -e '^NOT RUN' -e '^KNOWN OPEN' "$logs/tests.log" | sort -u
[ ${#failed[@]} -gt 0 ] && printf 'FAILED   %s\n' "${failed[@]}"
printf '%d passed, %d failed, %d skipped\n' "$tests_passed" "$tests_failed" "$tests_ignored"
[ ${#failed[@]} -eq 0 ] && [ "$tests_passed" -gt 0 ]
