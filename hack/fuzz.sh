#!/usr/bin/env bash
# Fuzzes each fuzz test of the module for the given time. Go takes only one at a time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

found=""
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do
  for name in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    found=yes
    echo "==> $package $name for $1"
    go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "$package"
  done
done
if [ -z "$found" ]; then
  echo "no fuzz test found" >&2
  exit 1
fi
