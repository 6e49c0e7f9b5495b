// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"
	"slices"

	"go4.org/netipx"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// block is a metadata block in force: these pods must not reach these ranges.
type block struct {
	pods   pods
	ranges *netipx.IPSet
}

// blocksOf are the blocks of all contributions that are in force, also of those that nobody maintains: what an audited or
// a retained baseline blocks stays cut out of the policies of the others.
func blocksOf(contributions []Contribution) []block {
	var out []block
	for _, c := range contributions {
		if c.Revision == nil || c.Revision.Spec.Profile.BlockMetadata == nil {
			continue
		}
		declared := c.Revision.Spec.Profile.BlockMetadata
		selector := declared.PodSelector.Meta()
		b := block{podsOf(&selector), blockedRanges(declared)}
		if i := slices.IndexFunc(out, func(other block) bool { return other.pods.equal(b.pods) }); i >= 0 {
			out[i].ranges = union(out[i].ranges, b.ranges)
			continue
		}
		out = append(out, b)
	}
	return out
}

// blockedRanges are the metadata addresses and the additional ranges of a block.
func blockedRanges(b *v1alpha1.BlockMetadata) *netipx.IPSet {
	var set netipx.IPSetBuilder
	for _, endpoint := range metadataEndpoints {
		set.AddPrefix(netip.MustParsePrefix(endpoint.prefix))
	}
	for _, cidr := range b.AdditionalCIDRs {
		if prefix, err := netip.ParsePrefix(string(cidr)); err == nil {
			set.AddPrefix(prefix.Masked())
		}
	}
	return ipSet(&set)
}

func union(a, b *netipx.IPSet) *netipx.IPSet {
	var set netipx.IPSetBuilder
	set.AddSet(a)
	set.AddSet(b)
	return ipSet(&set)
}

// ipSet is what was built. It fails for invalid prefixes only; every prefix here is parsed and masked.
func ipSet(b *netipx.IPSetBuilder) *netipx.IPSet {
	set, err := b.IPSet()
	if err != nil {
		return &netipx.IPSet{}
	}
	return set
}

// part is a set of pods to which the same blocks apply, and what they cut out of every range.
type part struct {
	pods pods
	cut  []netip.Prefix
}

// parts splits pods by the blocks that apply to some of them only, as far as a block cuts anything out of the ranges that
// the pods are allowed. A pod may be in several parts: it is blocked in all of them or in none.
func (s *scope) parts(all pods, allowed *netipx.IPSet) []part {
	type piece struct {
		pods pods
		cut  *netipx.IPSet
	}
	pieces := []piece{{all, &netipx.IPSet{}}}
	for _, b := range s.blocks {
		var next []piece
		for _, p := range pieces {
			switch {
			case p.pods.disjoint(b.pods):
				next = append(next, p)
			case p.pods.within(b.pods):
				next = append(next, piece{p.pods, union(p.cut, b.ranges)})
			case !overlapsBeyond(b.ranges, p.cut, allowed):
				next = append(next, p)
			default:
				next = append(next, piece{p.pods.and(b.pods), union(p.cut, b.ranges)})
				outside, _ := p.pods.minus(b.pods) // one set for each requirement of the block, which the schema bounds
				for _, o := range outside {
					next = append(next, piece{o, p.cut})
				}
			}
		}
		if len(next) > maxParts {
			// Beyond the bound, block for too many pods rather than for too few.
			next = pieces
			for i := range next {
				if !next[i].pods.disjoint(b.pods) {
					next[i].cut = union(next[i].cut, b.ranges)
				}
			}
		}
		pieces = next
	}
	out := make([]part, 0, len(pieces))
	for _, p := range pieces {
		out = append(out, part{p.pods, p.cut.Prefixes()})
	}
	return out
}

// overlapsBeyond reports whether the ranges hold anything of allowed that is not cut already.
func overlapsBeyond(ranges, cut, allowed *netipx.IPSet) bool {
	var rest netipx.IPSetBuilder
	rest.AddSet(ranges)
	rest.RemoveSet(cut)
	rest.Intersect(allowed)
	return len(ipSet(&rest).Ranges()) > 0
}

// insideBlock reports whether a range lies within what some block blocks.
func (s *scope) insideBlock(cidr v1alpha1.CIDR) bool {
	prefix, err := netip.ParsePrefix(string(cidr))
	return err == nil && slices.ContainsFunc(s.blocks, func(b block) bool { return b.ranges.ContainsPrefix(prefix.Masked()) })
}

// rangesOf are the address ranges of allowances from which a block cuts.
func rangesOf(grants []grant) *netipx.IPSet {
	var set netipx.IPSetBuilder
	for _, g := range grants {
		for i := range g.Peers {
			if prefix, err := netip.ParsePrefix(string(g.Peers[i].CIDR)); err == nil {
				set.AddPrefix(prefix.Masked())
			}
		}
	}
	return ipSet(&set)
}
