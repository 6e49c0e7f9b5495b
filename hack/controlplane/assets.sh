#!/usr/bin/env bash
# Prints the one directory that holds kube-apiserver, etcd, kubectl and kube-controller-manager; whatever else there
# is to say goes to stderr. In this order: KUBEBUILDER_ASSETS, a cache outside the clone, setup-envtest, a build from
# the Go module proxy. setup-envtest has no kube-controller-manager: what a source lacks is built and linked beside it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
names="etcd kube-apiserver kubectl kube-controller-manager"

# The version's one place is go.mod, so the build and the cache cannot disagree.
version=$(sed -n 's|^.*k8s\.io/kubernetes \(v[^ ]*\).*|\1|p' "$here/go.mod")
if [ -z "$version" ]; then
  echo "hack/controlplane/go.mod doesn't require k8s.io/kubernetes" >&2
  exit 1
fi
IFS=. read -r major minor _ <<<"${version#v}"
os=$(go env GOHOSTOS)
arch=$(go env GOHOSTARCH)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/netbaseline/controlplane
built=$cache/$version-$os-$arch

complete() {
  local name
  for name in $names; do [ -x "$1/$name" ] || return 1; done
}

# Everything arrives by a rename, so that two runs at once never see, or leave, half a file.
link() { # link <file> <directory>
  ln -sf "$1" "$2/.tmp.$$" && mv -f "$2/.tmp.$$" "$2/${1##*/}"
}

build() { # build <name>, into $built
  local package=k8s.io/kubernetes/cmd/$1 takes="30 seconds" stamp=k8s.io/component-base/version
  case $1 in
    etcd) package=go.etcd.io/etcd/server/v3 ;;
    kube-apiserver) takes="4 minutes" ;;
    kube-controller-manager) # most of it is what kube-apiserver has compiled already, if that was built here
      if [ -f "$built/kube-apiserver" ] && [ ! -L "$built/kube-apiserver" ]; then takes="80 seconds"; else takes="5 minutes"; fi ;;
  esac
  echo "building $1 for Kubernetes $version: about $takes on two cores, once per machine (there is no prebuilt one here)" >&2
  GOWORK=off GOFLAGS='' GOOS=$os GOARCH=$arch CGO_ENABLED=0 go -C "$here" build -trimpath -ldflags \
    "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=$major -X $stamp.gitMinor=$minor" \
    -o "$built/.tmp.$$" "$package" >&2
  mv -f "$built/.tmp.$$" "$built/$1"
}

from_envtest() { # links what setup-envtest has, or can download, into $built
  local setup found name
  setup=$(cd "$here/../.." && go tool -n -modfile=hack/tools/go.mod setup-envtest) || return 0
  local run=("$setup")
  # The limit is for networks that swallow packets; macOS has no timeout(1), there the dialer gives up by itself.
  if command -v timeout >/dev/null; then run=(timeout 180 "$setup"); fi
  # Any patch release will do, for not every one is published there.
  found=$("${run[@]}" use "$major.$minor.x" -p path 2>/dev/null) || return 0
  echo "using the binaries of setup-envtest in $found" >&2
  for name in $names; do
    if [ -x "$found/$name" ] && [ ! -x "$built/$name" ]; then link "$found/$name" "$built"; fi
  done
}

mkdir -p "$built"
trap 'rm -f "$built/.tmp.$$"' EXIT
dir=$built

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  if [ ! -d "$KUBEBUILDER_ASSETS" ]; then
    echo "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS is not a directory" >&2
    exit 1
  fi
  given=$(cd "$KUBEBUILDER_ASSETS" && pwd)
  if complete "$given"; then
    echo "$given"
    exit
  fi
  # A folder for each such source: its binaries may be of another version than the cache's.
  dir=$built-with-$(printf %s "$given" | cksum | cut -d' ' -f1)
  mkdir -p "$dir"
  for name in $names; do
    if [ -x "$given/$name" ]; then link "$given/$name" "$dir"; fi
  done
elif ! complete "$built"; then
  from_envtest
fi

for name in $names; do
  [ -x "$dir/$name" ] && continue
  [ -x "$built/$name" ] || build "$name"
  [ "$dir" = "$built" ] || link "$built/$name" "$dir"
done
echo "$dir"
