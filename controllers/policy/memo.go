// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"
	"sync"

	networkingv1 "k8s.io/api/networking/v1"
)

// Memo renders once for all namespaces in the same situation. A nil Memo remembers nothing.
type Memo struct {
	// Share, if set, is called for each policy that is rendered, before anybody reads it.
	Share func(*networkingv1.NetworkPolicy)

	mu    sync.Mutex
	byKey map[string]*Rendered
}

const (
	// memoCapacity bounds the number of situations that are kept; a cluster has a handful.
	memoCapacity = 512
	// memoKeySize bounds their size: tenants write the selectors of foreign policies.
	memoKeySize = 4 << 10
)

func (m *Memo) render(in Input, factsVersion int64) *Rendered {
	if m == nil {
		return Render(in)
	}
	key := in.key(factsVersion)
	m.mu.Lock()
	defer m.mu.Unlock()
	if rendered, ok := m.byKey[key]; ok {
		return rendered
	}
	rendered := Render(in)
	if m.Share != nil {
		for i := range rendered.Policies {
			m.Share(rendered.Policies[i].NetworkPolicy)
		}
	}
	if len(key) > memoKeySize {
		return rendered
	}
	if m.byKey == nil || len(m.byKey) >= memoCapacity {
		m.byKey = map[string]*Rendered{}
	}
	m.byKey[key] = rendered
	return rendered
}

// key differs whenever what is rendered may differ.
func (in *Input) key(factsVersion int64) string {
	var key strings.Builder
	for _, c := range in.Contributions {
		if c.Revision != nil {
			fmt.Fprintf(&key, "%s %s %s ", c.UID, c.Phase, c.Revision.Name)
		}
	}
	fmt.Fprintf(&key, "%s %v %v %d", sides(in.Contributions, in.NamespaceLabels), in.AlsoDenied, in.Restricted, factsVersion)
	return key.String()
}
