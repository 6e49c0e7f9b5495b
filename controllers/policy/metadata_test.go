// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

func prefixes(text string) []netip.Prefix {
	var out []netip.Prefix
	for p := range strings.FieldsSeq(text) {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func texts(all []netip.Prefix) string {
	var out []string
	for _, p := range all {
		out = append(out, p.String())
	}
	return strings.Join(out, " ")
}

func TestCarve(t *testing.T) {
	for _, tc := range []struct {
		name, prefix, except, want string
		nothing                    bool
	}{
		{"nothing to leave out", "10.0.0.0/8", "", "", false},
		{"elsewhere", "10.0.0.0/8", "192.168.0.0/16", "", false},
		{"the other family", "10.0.0.0/8", "::/0 fd00::/8", "", false},
		{"the other family, reversed", "fd00::/8", "0.0.0.0/0", "", false},
		{"inside", "10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16", false},
		{"inside, IPv6", "fd00::/8", "fd00:ec2::254/128", "fd00:ec2::254/128", false},
		{"sorted", "0.0.0.0/0", "169.254.0.0/16 100.100.100.200/32", "100.100.100.200/32 169.254.0.0/16", false},
		{"some inside", "fd00::/8", "fe80::a9fe:a9fe/128 fd00:42::42/128 169.254.0.0/16", "fd00:42::42/128", false},
		{"the same twice", "10.0.0.0/8", "10.1.0.0/16 10.1.0.0/16", "10.1.0.0/16", false},
		{"one contains the other", "10.0.0.0/8", "10.1.2.0/24 10.1.0.0/16", "10.1.0.0/16", false},
		{"neighbours become one", "10.0.0.0/8", "10.2.0.0/16 10.3.0.0/16", "10.2.0.0/15", false},
		{"neighbours that are no prefix do not", "10.0.0.0/8", "10.1.0.0/16 10.2.0.0/16", "10.1.0.0/16 10.2.0.0/16", false},
		{"equal", "169.254.0.0/16", "169.254.0.0/16", "", true},
		{"contained", "169.254.169.254/32", "169.254.0.0/16", "", true},
		{"contained, IPv6", "fd00:ec2::254/128", "fd00::/8", "", true},
		{"halves make the whole", "10.0.0.0/8", "10.128.0.0/9 10.0.0.0/9", "", true},
		{"quarters too", "2001:db8::/32", "2001:db8::/34 2001:db8:4000::/34 2001:db8:8000::/33", "", true},
		{"all but one address", "192.0.2.0/30", "192.0.2.0/31 192.0.2.2/32", "192.0.2.0/31 192.0.2.2/32", false},
		{"everything", "0.0.0.0/0", "0.0.0.0/1 128.0.0.0/1", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			parts, ok := carve(netip.MustParsePrefix(tc.prefix), prefixes(tc.except))
			if ok == tc.nothing || ok && texts(parts) != tc.want {
				t.Errorf("carve(%s, %s) = %q, %v; want %q, %v", tc.prefix, tc.except, texts(parts), ok, tc.want, !tc.nothing)
			}
		})
	}
}

// FuzzCarve: no address of except is in the prefix without the parts, every other address of it is, and the API server
// accepts the parts as the except of an ipBlock.
func FuzzCarve(f *testing.F) {
	f.Add([]byte{0, 10, 0, 0, 0, 8, 0, 10, 1, 0, 0, 16})
	f.Add([]byte{0, 169, 254, 169, 254, 32, 0, 169, 254, 0, 0, 16, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 10, 0, 0, 0, 8, 0, 10, 0, 0, 0, 9, 0, 10, 128, 0, 0, 9})
	f.Add([]byte{1, 0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54, 8, 1, 0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54, 128})
	f.Fuzz(func(t *testing.T, data []byte) {
		all := readPrefixes(data)
		if len(all) == 0 {
			return
		}
		prefix, except := all[0], all[1:]
		parts, ok := carve(prefix, except)
		in := func(a netip.Addr, set []netip.Prefix) bool {
			return slices.ContainsFunc(set, func(p netip.Prefix) bool { return p.Contains(a) })
		}
		// The first and last addresses, and those around them, are where arithmetic goes wrong.
		var addresses []netip.Addr
		for _, p := range slices.Concat(all, parts) {
			for _, a := range []netip.Addr{p.Addr(), lastOf(p)} {
				addresses = append(addresses, a.Prev(), a, a.Next())
			}
		}
		for _, a := range addresses {
			if !a.IsValid() || !prefix.Contains(a) {
				continue
			}
			if reachable := ok && !in(a, parts); reachable == in(a, except) {
				t.Errorf("carve(%s, %v) = %v, %v: %s is reachable: %v", prefix, except, parts, ok, a, reachable)
			}
		}
		if !ok {
			return
		}
		for i, p := range parts {
			if !prefix.Overlaps(p) || p.Bits() <= prefix.Bits() || p != p.Masked() {
				t.Errorf("carve(%s, %v) = %v: %s is not strictly inside", prefix, except, parts, p)
			}
			if i > 0 && parts[i-1].Addr().Compare(p.Addr()) >= 0 || i > 0 && parts[i-1].Overlaps(p) {
				t.Errorf("carve(%s, %v) = %v: not sorted and apart", prefix, except, parts)
			}
		}
	})
}

// readPrefixes reads canonical prefixes: a byte for the family, the address, the length.
func readPrefixes(data []byte) []netip.Prefix {
	var out []netip.Prefix
	for len(out) < 8 {
		n := 4
		if len(data) > 0 && data[0]%2 == 1 {
			n = 16
		}
		if len(data) < n+2 {
			break
		}
		a, _ := netip.AddrFromSlice(data[1 : n+1])
		// The API server refuses IPv4-mapped addresses.
		if p := netip.PrefixFrom(a, int(data[n+1])%(8*n+1)).Masked(); !a.Is4In6() {
			out = append(out, p)
		}
		data = data[n+2:]
	}
	return out
}

func lastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(a); i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(a)
	return last
}

const (
	blockedIPv4 = "100.100.100.200/32 168.63.129.16/32 169.254.0.0/16 192.0.0.192/32"
	blockedIPv6 = "fd00:42::42/128 fd00:c1::a9fe:a9fe/128 fd00:100::100:200/128 fd00:ec2::23/128 fd00:ec2::254/128 " +
		"fd00:a9fe:a9fe::1/128 fd20:ce::254/128 fe80::a9fe:a9fe/128"
	blockedByDefault = blockedIPv4 + " " + blockedIPv6
)

func TestBlockedPrefixes(t *testing.T) {
	block := func(cidrs ...v1alpha1.CIDR) *v1alpha1.BlockMetadata {
		return &v1alpha1.BlockMetadata{AdditionalCIDRs: cidrs}
	}
	for _, tc := range []struct {
		name   string
		blocks []*v1alpha1.BlockMetadata
		want   string
	}{
		{"no block", nil, ""},
		{"the metadata addresses of facts, section 2", []*v1alpha1.BlockMetadata{block()}, blockedByDefault},
		{"two blocks", []*v1alpha1.BlockMetadata{block(), block()}, blockedByDefault},
		{"contained", []*v1alpha1.BlockMetadata{block("169.254.169.254/32", "fd00:ec2::254/128")}, blockedByDefault},
		{"equal", []*v1alpha1.BlockMetadata{block("169.254.0.0/16")}, blockedByDefault},
		{"more", []*v1alpha1.BlockMetadata{block("10.0.0.53/32")}, "10.0.0.53/32 " + blockedByDefault},
		{"wider", []*v1alpha1.BlockMetadata{block("128.0.0.0/1")}, "100.100.100.200/32 128.0.0.0/1 " + blockedIPv6},
		{"wider, IPv6", []*v1alpha1.BlockMetadata{block("fd00::/8")}, blockedIPv4 + " fd00::/8 fe80::a9fe:a9fe/128"},
		{"of two blocks, made one", []*v1alpha1.BlockMetadata{block("10.0.0.0/9"), block("10.128.0.0/9")}, "10.0.0.0/8 " + blockedByDefault},
		{"host bits, which the schema refuses", []*v1alpha1.BlockMetadata{block("10.1.2.3/8")}, "10.0.0.0/8 " + blockedByDefault},
		{"all of IPv4 in halves", []*v1alpha1.BlockMetadata{block("0.0.0.0/1", "128.0.0.0/1")}, "0.0.0.0/0 " + blockedIPv6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var all []netip.Prefix
			if len(tc.blocks) > 0 {
				set := blockedRanges(tc.blocks[0])
				for _, b := range tc.blocks[1:] {
					set = union(set, blockedRanges(b))
				}
				all = set.Prefixes()
			}
			if got := texts(all); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestMetadataEndpointsHaveSources(t *testing.T) {
	for _, e := range metadataEndpoints {
		if p, err := netip.ParsePrefix(e.prefix); err != nil || p.Masked().String() != e.prefix || e.source == "" {
			t.Errorf("%+v: want a canonical prefix and a source (%v)", e, err)
		}
	}
}
