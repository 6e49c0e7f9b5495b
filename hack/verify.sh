#!/usr/bin/env bash
# Checks that whatever is generated is what `make` would generate now, by doing so in a copy of the tree: the tree
# itself stays as it is, and uncommitted work is no obstacle. The argument is the image of the release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
make=${MAKE:-make}
# What the caller builds (make verify IMG=mine) is not what the repository holds.
unset IMG VERSION MAKEFLAGS MFLAGS MAKEOVERRIDES

# What is generated, and the make target that renews it. A new generator is a new line. The order is that of running.
generated="
api/v1alpha1/zz_generated.deepcopy.go generate
config/crd/bases                      manifests
config/rbac/role.yaml                 manifests
dist/install.yaml                     build-installer
bundle                                bundle
docs/api.md                           api-docs
dist/chart/Chart.yaml                 chart
dist/chart/templates/generated        chart
"

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/hack"
cp -R Makefile CHANGELOG.md main.go go.mod go.sum api config controllers docs "$copy"
cp -R hack/boilerplate.go.txt hack/tools hack/bundle hack/chart hack/api-docs "$copy/hack"

stale=0
report() { # report <what is wrong> <make target>
  echo "STALE $1; renew it with: $2" >&2
  stale=1
}
check() { # check <path> <make target>: the path here against the one in the copy
  if diff -ruN "$1" "$copy/$1" >"$copy/diff"; then
    echo "ok    $1"
  else
    head -n 40 "$copy/diff" >&2
    report "$1" "make $2"
  fi
}

targets=""
while read -r path target; do
  [ -n "$path" ] || continue
  # Out of the way first: a file that is no longer generated would otherwise look fresh.
  rm -rf "${copy:?}/$path"
  case " $targets " in *" $target "*) ;; *) targets="$targets $target" ;; esac
done <<<"$generated"
for target in $targets; do
  "$make" --no-print-directory -C "$copy" "$target" >"$copy/log" 2>&1 || {
    cat "$copy/log" >&2
    echo "make $target failed" >&2
    exit 1
  }
done
while read -r path target; do
  if [ -n "$path" ]; then check "$path" "$target"; fi
done <<<"$generated"

if grep -q "image: $1\$" "$copy/dist/install.yaml"; then
  echo "ok    config/manager/kustomization.yaml"
else
  report "config/manager/kustomization.yaml: the Makefile's release is $1" "an edit of newTag"
fi

if go mod tidy -diff >"$copy/diff" 2>"$copy/log"; then
  echo "ok    go.mod, go.sum"
else
  cat "$copy/log" "$copy/diff" | head -n 40 >&2
  report "go.mod, go.sum" "go mod tidy"
fi

unformatted=$(gofmt -l main.go api config controllers hack)
if [ -z "$unformatted" ]; then
  echo "ok    gofmt"
else
  report "$(echo "$unformatted" | tr '\n' ' ')" "make fmt"
fi
exit $stale
