#!/usr/bin/env bash
# Prints the one directory that holds kube-router and agnhost; whatever else there is to say goes to stderr. Both are built
# from the Go module proxy alone, once per machine, into a cache outside the clone.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# The versions' one place is each module's go.mod, so the build and the cache cannot disagree.
version() { sed -n "s|^.*$2 \(v[^ ]*\).*|\1|p" "$here/$1/go.mod" | head -n 1; }
router=$(version kube-router github.com/cloudnativelabs/kube-router/v2)
kubernetes=$(version agnhost k8s.io/kubernetes)
if [ -z "$router" ] || [ -z "$kubernetes" ]; then
  echo "hack/packets/kube-router/go.mod or hack/packets/agnhost/go.mod lacks its requirement" >&2
  exit 1
fi
arch=$(go env GOHOSTARCH)
dir=${XDG_CACHE_HOME:-$HOME/.cache}/netbaseline/packets/$router-$kubernetes-linux-$arch
mkdir -p "$dir"
trap 'rm -f "$dir/.tmp.$$"' EXIT

build() { # build <name> <package> <takes>
  [ -x "$dir/$1" ] && return
  echo "building $1: about $3 on two cores, once per machine" >&2
  GOWORK=off GOFLAGS='' GOOS=linux GOARCH=$arch CGO_ENABLED=0 go -C "$here/$1" build -trimpath -ldflags "-s -w" \
    -o "$dir/.tmp.$$" "$2" >&2
  # It arrives by a rename, so that two runs at once never see, or leave, half a file.
  mv -f "$dir/.tmp.$$" "$dir/$1"
}

build kube-router github.com/cloudnativelabs/kube-router/v2/cmd/kube-router "2 minutes"
build agnhost k8s.io/kubernetes/test/images/agnhost "a minute, and 5 where the control plane was not built,"
echo "$dir"
