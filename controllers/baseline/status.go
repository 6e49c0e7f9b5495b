// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"fmt"
	"slices"
	"time"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
	"github.com/netbaseline/netbaseline/controllers/revision"
)

// maxProblems is how many problems a status lists, and maxMessage how long each may be: no object grows with the
// number of namespaces.
const (
	maxProblems = 50
	maxResolved = 32
	maxMessage  = 1024
)

// newStatus is the status of a baseline, pure. It keeps what the old one says where nothing changed.
func newStatus(b *v1alpha1.NetworkBaseline, v *view, now time.Time) v1alpha1.NetworkBaselineStatus {
	status := *b.Status.DeepCopy()
	status.ObservedGeneration = b.Generation
	status.Namespaces, status.Policies = count(v)
	if v.invalid == nil && v.unstored == nil && b.DeletionTimestamp == nil {
		n, enforce, was := status.Namespaces, b.Spec.Mode != v1alpha1.ModeAudit, revision.InForce(&b.Status)
		admit := enforce && v.check != nil && v.check.passed(v.update, b.Spec.Preflight)
		upgrade(b, &status, v.update)
		advance(&status, v.update, admit, enforce && n.InSync == n.Selected && !leaving(v))
		if revision.InForce(&status) != was {
			v = v.outdated()
			status.Namespaces, status.Policies = count(v)
		}
	}
	status.Audit = countAudit(b, v.results)
	status.Resolved = resolved(b, v.facts)
	status.Problems, status.MoreProblems = listProblems(v)
	status.Repairs.Total += v.repairs.Count
	if v.repairs.Last != nil {
		status.Repairs.Last = v.repairs.Last
	}
	setConditions(&status, b, v, now)
	return status
}

func leaving(v *view) bool {
	return slices.ContainsFunc(v.results, func(r result.Result) bool { return r.Leaving })
}

func count(v *view) (v1alpha1.NamespaceCounts, v1alpha1.PolicyCounts) {
	namespaces := v1alpha1.NamespaceCounts{
		Selected: v.pending + v.waiting, Pending: v.pending, Waiting: v.waiting, Protected: int32(len(v.protected)),
	}
	var policies v1alpha1.PolicyCounts
	for i := range v.results {
		r := &v.results[i]
		if !r.Selected {
			continue
		}
		namespaces.Selected++
		policies.Desired += r.Desired
		policies.InSync += r.InSync
		switch r.State {
		case result.InSync:
			namespaces.InSync++
		case result.Failed:
			namespaces.Failed++
		case result.Waiting:
			namespaces.Waiting++
		default:
			namespaces.Pending++
		}
	}
	return namespaces, policies
}

// resolved tells the facts that the profile asks for; nil for none.
func resolved(baseline *v1alpha1.NetworkBaseline, found policy.Facts) *v1alpha1.Resolved {
	var out v1alpha1.Resolved
	profile := &baseline.Spec.Profile
	if dns := profile.AllowDNS; dns != nil && len(dns.Resolvers) == 0 {
		out.DNS = facts.Describe(found.DNS, maxResolved)
		if len(found.DNS) == 0 {
			for _, line := range facts.Describe(policy.DefaultDNS, maxResolved) {
				out.DNS = append(out.DNS, line+" (assumed: no DNS Service was found)")
			}
		}
	}
	if profile.AllowKubeAPIServer != nil {
		out.KubeAPIServer = facts.Describe(found.KubeAPIServer, maxResolved)
	}
	if out.DNS == nil && out.KubeAPIServer == nil {
		return nil
	}
	return &out
}

func countAudit(baseline *v1alpha1.NetworkBaseline, results []result.Result) *v1alpha1.AuditCounts {
	if baseline.Spec.Mode != v1alpha1.ModeAudit {
		return nil
	}
	var counts v1alpha1.AuditCounts
	for i := range results {
		a := results[i].Audit
		counts.Create += a.Create
		counts.Change += a.Change
		counts.Remove += a.Remove
		if a != (policy.Audit{}) {
			counts.Namespaces++
		}
	}
	return &counts
}

func countNamespaces(n int) string {
	if n == 1 {
		return "1 namespace"
	}
	return fmt.Sprintf("%d namespaces", n)
}

func bounded(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	const ellipsis = "…"
	cut := maxMessage - len(ellipsis)
	for cut > 0 && message[cut]&0xC0 == 0x80 { // not in the middle of a character
		cut--
	}
	return message[:cut] + ellipsis
}
