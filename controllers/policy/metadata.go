// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"

	"go4.org/netipx"
)

// metadataEndpoints are the addresses at which clouds serve instance metadata and credentials to whoever asks.
// Each row cites the documentation of its cloud; link-local IPv4 is blocked as a whole, because ten clouds use it.
var metadataEndpoints = []struct{ prefix, source string }{
	{"169.254.0.0/16", "AWS IMDS, ECS and EKS Pod Identity, GCP, Azure, OpenStack, Oracle, Scaleway, Tencent and others: link-local, RFC 3927"},
	{"100.100.100.200/32", "Alibaba Cloud ECS instance metadata"},
	{"168.63.129.16/32", "Azure WireServer (Azure/WALinuxAgent: KNOWN_WIRESERVER_IP); also Azure DNS, exempt port 53 for it"},
	{"192.0.0.192/32", "Oracle Cloud Classic instance metadata"},
	{"fd00:ec2::254/128", "AWS IMDS over IPv6"},
	{"fd00:ec2::23/128", "EKS Pod Identity agent over IPv6"},
	{"fd20:ce::254/128", "GCP metadata server over IPv6"},
	{"fd00:100::100:200/128", "Alibaba Cloud ECS instance metadata over IPv6"},
	{"fd00:c1::a9fe:a9fe/128", "Oracle Cloud IMDS over IPv6"},
	{"fe80::a9fe:a9fe/128", "OpenStack (neutron METADATA_V6_IP) and Linode over IPv6"},
	{"fd00:a9fe:a9fe::1/128", "Linode metadata over IPv6"},
	{"fd00:42::42/128", "Scaleway metadata over IPv6"},
}

var everyIPv4, everyIPv6 = netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")

// carve returns the parts of prefix to leave out so that nothing of except remains reachable, aggregated and sorted;
// ok is false when nothing of prefix would be left.
func carve(prefix netip.Prefix, except []netip.Prefix) (parts []netip.Prefix, ok bool) {
	var set netipx.IPSetBuilder
	for _, e := range except {
		switch {
		case !e.Overlaps(prefix):
		case e.Bits() <= prefix.Bits():
			return nil, false
		default:
			set.AddPrefix(e)
		}
	}
	parts = ipSet(&set).Prefixes()
	// Two halves aggregate into the whole.
	return parts, len(parts) != 1 || parts[0] != prefix
}
