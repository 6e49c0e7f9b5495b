// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/suggest"
)

// BaselineFlows are flows to add to a baseline, the most used first.
type BaselineFlows struct {
	Baseline string          `json:"baseline"`
	Flows    []v1alpha1.Flow `json:"flows"`
}

// Limits of the API.
const (
	maxFlows       = 64
	maxPorts       = 16
	maxLabelValues = 32
)

// need is one flow in the making.
type need struct {
	from, to peers
	ports    []suggest.Port
	count    int64
}

func (n *need) portsID() string { return fmt.Sprint(n.ports) }

// suggestFlows returns the fewest flows that allow what is cut and nothing else, by baseline.
func suggestFlows(cut []*Group, governing func(namespace string) []string, taken map[string][]string) ([]BaselineFlows, []*Group) {
	needs := map[string][]*need{}
	var uncovered []*Group
	for _, g := range cut {
		baselines, covered := baselinesFor(g, governing)
		if !covered {
			uncovered = append(uncovered, g)
			continue
		}
		for _, b := range baselines {
			needs[b] = append(needs[b], &need{peersOf(g.from), peersOf(g.to), []suggest.Port{{Protocol: corev1.Protocol(g.Protocol), Number: g.Port}}, g.Count})
		}
	}
	var out []BaselineFlows
	for _, baseline := range slices.Sorted(maps.Keys(needs)) {
		out = append(out, BaselineFlows{baseline, flowsOf(fewest(needs[baseline]), taken[baseline])})
	}
	return out, uncovered
}

// baselinesFor are the baselines of the sides that deny. A flow of a baseline has no effect in other namespaces.
func baselinesFor(g *Group, governing func(namespace string) []string) (out []string, covered bool) {
	if !isPolicyProtocol(corev1.Protocol(g.Protocol)) {
		return nil, false
	}
	for direction, namespace := range map[string]string{"Egress": g.from.Namespace, "Ingress": g.to.Namespace} {
		if !strings.Contains(g.Direction, direction) {
			continue
		}
		all := governing(namespace)
		if len(all) == 0 || !g.from.Known() || !g.to.Known() {
			return nil, false
		}
		if !slices.Contains(out, all[0]) {
			out = append(out, all[0])
		}
	}
	return out, len(out) > 0
}

// fewest merges needs until no two can be merged.
func fewest(all []*need) []*need {
	all = mergePorts(all)
	for before := len(all) + 1; len(all) < before; {
		before = len(all)
		for _, end := range []func(*need) *peers{func(n *need) *peers { return &n.from }, func(n *need) *peers { return &n.to }} {
			all = mergeValues(all, end)
			all = mergeNamespaces(all, end)
			all = mergeAddresses(all, end)
		}
	}
	slices.SortFunc(all, func(a, b *need) int {
		return cmp.Or(-cmp.Compare(a.count, b.count), cmp.Compare(a.from.id(), b.from.id()), cmp.Compare(a.to.id(), b.to.id()), cmp.Compare(a.portsID(), b.portsID()))
	})
	return all
}

// merge puts needs of the same key together, in the order of the keys.
func merge(all []*need, key func(*need) string, join func(into, n *need) bool) []*need {
	buckets := map[string][]*need{}
	for _, n := range all {
		k := key(n)
		bucket := buckets[k]
		if k == "" || len(bucket) == 0 || !join(bucket[len(bucket)-1], n) {
			buckets[k] = append(bucket, n)
			continue
		}
		bucket[len(bucket)-1].count += n.count
	}
	var out []*need
	for _, k := range slices.Sorted(maps.Keys(buckets)) {
		out = append(out, buckets[k]...)
	}
	return out
}

func mergePorts(all []*need) []*need {
	return merge(all, func(n *need) string { return n.from.id() + ">" + n.to.id() }, func(into, n *need) bool {
		ports := suggest.SortPorts(append(slices.Clone(into.ports), n.ports...))
		if len(ports) > maxPorts {
			return false
		}
		into.ports = ports
		return true
	})
}

// rest is what a need is apart from one end.
func rest(n *need, end func(*need) *peers) string {
	other := &n.from
	if end(n) == other {
		other = &n.to
	}
	return other.id() + " " + n.portsID()
}

func mergeValues(all []*need, end func(*need) *peers) []*need {
	return merge(all, func(n *need) string {
		p := end(n)
		if p.key == "" {
			return ""
		}
		return rest(n, end) + " " + strings.Join(p.namespaces, ",") + " " + p.key
	}, func(into, n *need) bool {
		values := union(end(into).values, end(n).values)
		if len(values) > maxLabelValues {
			return false
		}
		end(into).values = values
		return true
	})
}

func mergeNamespaces(all []*need, end func(*need) *peers) []*need {
	return merge(all, func(n *need) string {
		p := end(n)
		if len(p.namespaces) == 0 {
			return ""
		}
		return rest(n, end) + " " + p.pods()
	}, func(into, n *need) bool {
		namespaces := union(end(into).namespaces, end(n).namespaces)
		if len(namespaces) > maxLabelValues {
			return false
		}
		end(into).namespaces = namespaces
		return true
	})
}

// mergeAddresses joins addresses that together are exactly a range.
func mergeAddresses(all []*need, end func(*need) *peers) []*need {
	buckets := map[string][]*need{}
	var out []*need
	for _, n := range all {
		if !end(n).prefix.IsValid() {
			out = append(out, n)
			continue
		}
		key := rest(n, end)
		buckets[key] = append(buckets[key], n)
	}
	for _, key := range slices.Sorted(maps.Keys(buckets)) {
		bucket := buckets[key]
		var set netipx.IPSetBuilder
		for _, n := range bucket {
			set.AddPrefix(end(n).prefix)
		}
		merged, err := set.IPSet()
		if err != nil {
			out = append(out, bucket...)
			continue
		}
		for _, prefix := range merged.Prefixes() {
			first := -1
			for i, n := range bucket {
				switch {
				case !prefix.Contains(end(n).prefix.Addr()):
				case first < 0:
					first = i
				default:
					bucket[first].count += n.count
				}
			}
			end(bucket[first]).prefix = prefix
			out = append(out, bucket[first])
		}
	}
	return out
}

func union(a, b []string) []string {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

// flowsOf writes needs as flows, with names that differ, also from those that the baseline has.
func flowsOf(all []*need, names []string) []v1alpha1.Flow {
	taken := map[string]int{}
	for _, name := range names {
		taken[name] = 1
	}
	var out []v1alpha1.Flow
	for _, n := range all {
		flow := suggest.Flow(n.from.example(), n.to.example(), n.ports)
		flow.From, flow.To = n.from.peer(), n.to.peer()
		name := flow.Name
		for taken[flow.Name] > 0 {
			taken[name]++
			suffix := fmt.Sprintf("-%d", taken[name])
			flow.Name = strings.TrimRight(name[:min(len(name), suggest.MaxFlowName-len(suffix))], "-") + suffix
		}
		taken[flow.Name]++
		out = append(out, flow)
	}
	return out
}
