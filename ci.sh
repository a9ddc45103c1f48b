#!/usr/bin/env bash
# The only definition of green. Installs what the tests need (Debian packages), runs everything, and
# ends with a summary of what ran, what failed and what did not run.
#
#   ./ci.sh              everything that fits into a coffee break and a half (about 15 minutes cold)
#   ./ci.sh --quick      without the parts that need other programs (real parts are NOT RUN, and it says so)
set -u
cd "$(dirname "$0")" || exit 1
export CARGO_TERM_COLOR=never RUST_BACKTRACE=1

quick=no
for argument in "$@"; do
  case "$argument" in
    --quick) quick=yes ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "ci.sh: unknown argument $argument; try --help" >&2; exit 2 ;;
  esac
done

logs=target/ci
mkdir -p "$logs"
passed=() failed=() skipped=()
started=$SECONDS

# run NAME COMMAND…: one step, its output in a log, the log shown if it fails.
run() {
  local name=$1 begin=$SECONDS log
  log="$logs/$(printf %s "$name" | tr -c 'a-z0-9' '-').log"
  shift
  printf '==> %s\n' "$name"
  if "$@" >"$log" 2>&1; then
    passed+=("$name ($((SECONDS - begin)) s)")
  else
    failed+=("$name ($((SECONDS - begin)) s)")
    printf -- '--- %s failed; the end of %s:\n' "$name" "$log"
    tail -n 80 "$log"
  fi
}

not_run() {
  printf '!!! NOT RUN: %s: %s\n' "$1" "$2"
  skipped+=("$1: $2")
}

# Debian packages of the real parts. Without root or apt the tests name what is missing.
packages=(prometheus prometheus-alertmanager postfix dovecot-imapd chromium python3 git)
install_packages() {
  local missing=()
  for package in "${packages[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  echo "installing: ${missing[*]}"
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

if ! command -v cargo >/dev/null; then
  echo "ci.sh: cargo is missing: install Rust 1.95 or newer with rustup (and a C compiler: apt-get install gcc)" >&2
  exit 1
fi

if [ "$quick" = yes ]; then
  not_run "packages" "--quick was given; tests on real parts say themselves what is missing"
elif command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  run "packages" install_packages
else
  not_run "packages" "needs root on Debian; install: ${packages[*]}"
fi

run "format" cargo fmt --all --check
run "lints" cargo clippy --locked --workspace --all-targets -- -D warnings
run "tests" cargo test --locked --workspace --no-fail-fast
run "docs" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

if command -v cargo-deny >/dev/null; then
  run "dependency policy" cargo deny --offline check bans licenses sources
else
  not_run "dependency policy" "cargo-deny is not installed (cargo install cargo-deny); tests/tidy checks TLS and duplicates"
fi

# The counts of all test binaries, added up.
counts=$(awk '/^test result:/ {p += $4; f += $6; i += $8} END {printf "%d %d %d", p, f, i}' "$logs/tests.log")
read -r tests_passed tests_failed tests_ignored <<<"$counts"

printf '\n===== summary (%d s) =====\n' $((SECONDS - started))
printf 'ok       %s\n' "${passed[@]}"
[ ${#skipped[@]} -gt 0 ] && printf 'NOT RUN  %s\n' "${skipped[@]}"
grep -h '^NOT RUN' "$logs/tests.log" | sort -u
[ ${#failed[@]} -gt 0 ] && printf 'FAILED   %s\n' "${failed[@]}"
printf '%d passed, %d failed, %d skipped\n' "$tests_passed" "$tests_failed" "$tests_ignored"
[ ${#failed[@]} -eq 0 ] && [ "$tests_passed" -gt 0 ]
