// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// theirs is a policy of somebody else that allows one port to everyone.
func theirs(t *testing.T, name string) *networkingv1.NetworkPolicy {
	t.Helper()
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: foreignUID},
		Spec:       *parseSpec(t, `{podSelector: {matchLabels: {app: theirs}}, policyTypes: [Ingress], ingress: [{ports: [{port: 80}]}]}`),
	}
}

func TestObstacles(t *testing.T) {
	const (
		denyDNS  = `profile: {defaultDeny: {}, allowDNS: {}, allowSameNamespace: {directions: [Ingress]}}`
		webOnly  = `profile: {defaultDeny: {directions: [Ingress]}, allowMonitoring: {stacks: [Prometheus], podSelector: {matchLabels: {app: web}}}}`
		denyBoth = `profile: {defaultDeny: {}}`
	)
	for _, tc := range []struct {
		name   string
		a, b   string
		before string // what a was
		change func(*cluster)
		want   string
		// what is in the way, and what is held back for it
		obstacles, withheld string
		// a flow that must be allowed in the end
		allowed [4]string
	}{
		{name: "an allow's name is taken: the deny carries its rules", a: denyDNS,
			change: func(c *cluster) { c.put(theirs(t, "a-allow-dns")) },
			want:   "(create a-default-deny) | create a-allow-same-namespace-ingress | update a-default-deny", obstacles: "a-allow-dns",
			allowed: [4]string{"web", "Egress", "dns", "UDP/53"}},
		{name: "an allow is replaced by a stranger: the deny takes over its rules", a: denyDNS, before: denyDNS,
			change: func(c *cluster) { c.remove("a-allow-dns"); c.put(theirs(t, "a-allow-dns")) },
			want:   "update a-default-deny", obstacles: "a-allow-dns",
			allowed: [4]string{"web", "Egress", "dns", "UDP/53"}},
		{name: "an allow is held in deletion: the deny takes over its rules", a: denyDNS, before: denyDNS,
			change: func(c *cluster) { c.terminate("a-allow-dns") },
			want:   "update a-default-deny", obstacles: "a-allow-dns terminating",
			allowed: [4]string{"web", "Egress", "dns", "UDP/53"}},
		{name: "the deny of another baseline carries them where there is no own", a: `profile: {allowDNS: {}}`, b: denyBoth,
			change: func(c *cluster) { c.put(theirs(t, "a-allow-dns")) },
			want:   "create b-default-deny", obstacles: "a-allow-dns",
			allowed: [4]string{"web", "Egress", "dns", "UDP/53"}},
		{name: "the deny's name is taken: nothing is created that would isolate", a: denyDNS,
			change: func(c *cluster) { c.put(theirs(t, "a-default-deny")) },
			want:   "", obstacles: "a-default-deny", withheld: "a-allow-same-namespace-ingress a-allow-dns",
			allowed: [4]string{"web", "Egress", "internet", "TCP/443"}},
		{name: "the deny's name is taken, another denies: allows are safe", a: denyDNS, b: denyBoth,
			change: func(c *cluster) { c.put(theirs(t, "a-default-deny")) },
			want:   "(create b-default-deny) | create a-allow-dns, create a-allow-same-namespace-ingress | update b-default-deny", obstacles: "a-default-deny",
			allowed: [4]string{"web", "Egress", "dns", "UDP/53"}},
		{name: "the deny is replaced by a stranger, allows still isolate: they are repaired", a: denyDNS, before: denyDNS,
			change: func(c *cluster) {
				c.remove("a-default-deny")
				c.put(theirs(t, "a-default-deny"))
				open := c.policies["a-allow-dns"].DeepCopy()
				open.Spec.Egress = append(open.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
				c.put(open)
			},
			want: "update a-allow-dns", obstacles: "a-default-deny",
			allowed: [4]string{"web", "Egress", "dns", "UDP/53"}},
		{name: "nor is anything widened that would isolate", a: denyDNS, before: denyDNS,
			change: func(c *cluster) {
				c.remove("a-default-deny")
				c.put(theirs(t, "a-default-deny"))
				for _, name := range []string{"a-allow-dns", "a-allow-same-namespace-ingress"} {
					narrowed := c.policies[name].DeepCopy()
					narrowed.Spec.PodSelector.MatchLabels = map[string]string{"app": "db"}
					c.put(narrowed)
				}
			},
			want: "", obstacles: "a-default-deny", withheld: "a-allow-same-namespace-ingress a-allow-dns",
			allowed: [4]string{"web", "Egress", "internet", "TCP/443"}},
		{name: "the deny is held in deletion: it still isolates, and allows are safe", a: denyDNS, before: denyBoth,
			change: func(c *cluster) { c.terminate("a-default-deny") },
			want:   "create a-allow-dns, create a-allow-same-namespace-ingress", obstacles: "a-default-deny terminating",
			allowed: [4]string{"web", "Egress", "dns", "UDP/53"}},
		{name: "what is held in deletion and wanted no longer is no obstacle", a: denyBoth, before: denyDNS,
			change: func(c *cluster) { c.terminate("a-allow-dns") },
			want:   "delete a-allow-same-namespace-ingress"},
		{name: "a name of one direction withholds nothing in the other", a: `profile: {defaultDeny: {directions: [Ingress]}, allowDNS: {}, allowSameNamespace: {}}`, b: `profile: {defaultDeny: {directions: [Egress]}}`,
			change: func(c *cluster) { c.put(theirs(t, "a-default-deny")) },
			want:   "(create b-default-deny) | create a-allow-dns, create a-allow-same-namespace-egress | update b-default-deny", obstacles: "a-default-deny", withheld: "a-allow-same-namespace-ingress",
			allowed: [4]string{"web", "Ingress", "prometheus", "TCP/8080"}},
		{name: "allows of some pods are withheld like any", a: webOnly,
			change: func(c *cluster) { c.put(theirs(t, "a-default-deny")) },
			want:   "", obstacles: "a-default-deny", withheld: "a-allow-monitoring",
			allowed: [4]string{"web", "Ingress", "internet", "TCP/8080"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := holding(rendered(t, tc.before, ""))
			tc.change(c)
			desired := rendered(t, tc.a, tc.b)
			foreign := compact(c.policies[strings.Fields(tc.obstacles + " -")[0]])
			p := c.plan(desired)
			var obstacles []string
			for _, o := range p.Obstacles {
				if obstacles = append(obstacles, o.Name); o.Terminating {
					obstacles = append(obstacles, "terminating")
				}
				if o.Live != c.policies[o.Name] {
					t.Errorf("obstacle %s without what is in the way", o.Name)
				}
			}
			if got := shape(p); got != tc.want || strings.Join(obstacles, " ") != tc.obstacles || names(p.Withheld) != tc.withheld {
				t.Errorf("got  %s\nwant %s\nobstacles %s, want %s\nwithheld %s, want %s", got, tc.want, obstacles, tc.obstacles, names(p.Withheld), tc.withheld)
			}
			if err := c.follow(&choices{}, p, false); err != nil {
				t.Error(err)
			}
			if err := c.converged(desired); err != nil {
				t.Error(err)
			}
			if tc.allowed[0] != "" {
				if now := c.allowed(); !now.has(flowNamed(tc.allowed[0], tc.allowed[1], tc.allowed[2], tc.allowed[3])) {
					t.Errorf("%v is denied", tc.allowed)
				}
			}
			if name := strings.Fields(tc.obstacles + " -")[0]; compact(c.policies[name]) != foreign {
				t.Errorf("%s was touched: %s", name, compact(c.policies[name]))
			}
		})
	}
}

func (c *cluster) terminate(name string) {
	p := c.policies[name].DeepCopy()
	p.DeletionTimestamp = &metav1.Time{}
	c.put(p)
}

// An obstacle that goes leaves nothing behind: what was missing is created, and the deny is empty again.
func TestObstacleGoes(t *testing.T) {
	desired := rendered(t, full, "")
	for _, tc := range []struct{ taken, want string }{
		{"a-allow-dns", "create a-allow-dns | update a-default-deny"},
		{"a-default-deny", "(create a-default-deny) | create a-allow-dns, create a-allow-ingress-controller, create a-allow-monitoring, create a-allow-same-namespace-egress, create a-allow-same-namespace-ingress | update a-default-deny"},
	} {
		c := newCluster(network{podsByAddress: true})
		c.put(theirs(t, tc.taken))
		if err := c.follow(&choices{}, c.plan(desired), false); err != nil {
			t.Error(err)
		}
		c.remove(tc.taken)
		p := c.plan(desired)
		if got := shape(p); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.taken, got, tc.want)
		}
		if err := c.follow(&choices{}, p, false); err != nil {
			t.Error(err)
		}
		if err := c.converged(desired); err != nil {
			t.Error(err)
		}
		if spec := c.policies["a-default-deny"].Spec; len(spec.Ingress)+len(spec.Egress) > 0 {
			t.Errorf("%s: the deny is left with %s", tc.taken, compact(spec))
		}
	}
}
