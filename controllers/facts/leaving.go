// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// leaving are the items of a list of allowances that were withdrawn: a peer on a port each.
type leaving map[string]withdrawn

type withdrawn struct {
	item
	until time.Time
}

type item struct {
	peer v1alpha1.Peer
	port v1alpha1.Port
}

// withdraw notes the items that are gone, and drops those that are back.
func (l leaving) withdraw(before, now []policy.Allowance, until time.Time) {
	there := items(now)
	for key, i := range items(before) {
		if _, still := there[key]; still {
			continue
		}
		if _, known := l[key]; !known {
			l[key] = withdrawn{i, until}
		}
	}
	for key := range there {
		delete(l, key)
	}
}

// addTo returns the allowances with what is leaving still, and when the next of it is to go; 0 for nothing.
func (l leaving) addTo(found []policy.Allowance, now time.Time) (out []policy.Allowance, again time.Duration) {
	out = slices.Clone(found)
	for _, key := range sortedKeys(l) {
		w := l[key]
		left := w.until.Sub(now)
		if left <= 0 {
			delete(l, key)
			continue
		}
		out = withItem(out, w.item)
		if again == 0 || left < again {
			again = left
		}
	}
	return out, again
}

// withItem adds an item to the allowance that is for its peer alone, or else as one of its own.
func withItem(all []policy.Allowance, i item) []policy.Allowance {
	for n := range all {
		if a := &all[n]; len(a.Peers) == 1 && reflect.DeepEqual(a.Peers[0], i.peer) {
			ports := append(slices.Clone(a.Ports), i.port)
			slices.SortStableFunc(ports, func(x, y v1alpha1.Port) int {
				return cmp.Or(cmp.Compare(x.Port.IntVal, y.Port.IntVal), cmp.Compare(y.Protocol, x.Protocol)) // UDP first
			})
			all[n] = policy.Allowance{Peers: a.Peers, Ports: ports}
			return all
		}
	}
	return append(all, policy.Allowance{Peers: []v1alpha1.Peer{i.peer}, Ports: []v1alpha1.Port{i.port}})
}

func items(all []policy.Allowance) map[string]item {
	out := map[string]item{}
	for _, a := range all {
		for n := range a.Peers {
			for _, port := range a.Ports {
				out[fmt.Sprintf("%s on %s %s", describePeer(&a.Peers[n]), port.Protocol, port.Port.String())] = item{a.Peers[n], port}
			}
		}
	}
	return out
}
