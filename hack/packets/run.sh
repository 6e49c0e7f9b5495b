#!/usr/bin/env bash
# Runs the tests with real packets, where that is possible: it needs Linux, root, iptables, ipset and iproute2, and a
# kernel that lets root make network namespaces. Elsewhere it says what is missing and succeeds: there is nothing to
# test. Where it can run, whatever goes wrong is a failure. The arguments go to `go test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

missing() {
  echo "make packets: not run here: $1" >&2
  exit 0
}
[ "$(uname -s)" = Linux ] || missing "real packets need Linux"
[ "$(id -u)" = 0 ] || missing "real packets need root, for network namespaces"
# Debian leaves sbin out of the PATH of users who became root by su.
export PATH=$PATH:/usr/sbin:/sbin
for tool in ip iptables ip6tables ipset; do
  command -v "$tool" >/dev/null || missing "there is no $tool (Debian: apt-get install iptables ipset iproute2)"
done
# In a namespace of its own, so that nothing here changes. Unshare is of util-linux, which every distribution has.
unshare --net true 2>/dev/null || missing "the kernel, or a container's seccomp profile, refuses network namespaces"
for family in iptables ip6tables; do
  unshare --net "$family" -t filter -L -n >/dev/null 2>&1 || missing "$family does not work in a network namespace"
done
unshare --net ipset create probe hash:ip >/dev/null 2>&1 || missing "ipset does not work in a network namespace"

go mod tidy -diff
go vet ./...
PACKETS_ASSETS=$(./assets.sh)
KUBEBUILDER_ASSETS=$(../controlplane/assets.sh)
export PACKETS_ASSETS KUBEBUILDER_ASSETS
# -count=1: Go's test cache sees neither the operator nor the samples.
exec go test -count=1 -timeout 30m "$@" ./...
