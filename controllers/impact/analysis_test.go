// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/controllers/connectivity"
	"github.com/netbaseline/netbaseline/controllers/inventory"
)

// testInventory has pods a/x, b/y and b/z.
func testInventory() *inventory.Inventory {
	i := &inventory.Inventory{}
	for _, name := range []string{"a/x", "b/y", "b/z"} {
		namespace, pod, _ := strings.Cut(name, "/")
		i.AddNamespace(namespace, nil)
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pod, Labels: map[string]string{"app": pod}}, Spec: corev1.PodSpec{NodeName: "node-1"}}
		p.Status.PodIP = "10.0.0." + map[string]string{"x": "1", "y": "2", "z": "3"}[pod]
		i.AddPod(p)
	}
	i.AddNode(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-2"}, Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Address: "192.168.0.2"}}}})
	return i
}

func compiled(t testing.TB, policies []*networkingv1.NetworkPolicy) *connectivity.Set {
	t.Helper()
	s, err := connectivity.Compile(policies, connectivity.ByAddress)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// denyIngress isolates all pods of namespaces.
func denyIngress(namespaces ...string) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, namespace := range namespaces {
		out = append(out, &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "deny"},
			Spec:       networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}},
		})
	}
	return out
}

// analyze judges lines with a deny of ingress in namespace b tomorrow.
func analyze(t *testing.T, o Options, lines ...string) *Report {
	t.Helper()
	o.Inventory = testInventory()
	if o.Today == nil {
		o.Today = compiled(t, nil)
	}
	o.Tomorrow = compiled(t, denyIngress("b"))
	a := New(o)
	a.Read("test", strings.NewReader(strings.Join(lines, "\n")), func(b BadLine) { t.Error(b) }, nil)
	return a.Report()
}

// hubble is a connection from a/x to b/y on port 80, as one of the two nodes records it.
func hubble(direction, verdict string) string {
	return fmt.Sprintf(`{"flow":{"verdict":%q,"traffic_direction":%q,"is_reply":false,"l4":{"TCP":{"source_port":40000,"destination_port":80,"flags":{"SYN":true}}},"source":{"namespace":"a","pod_name":"x"},"destination":{"namespace":"b","pod_name":"y"}}}`, verdict, direction)
}

// TestCounts: a connection that both nodes record is one, and so is a long one that is seen in its middle.
func TestCounts(t *testing.T) {
	middle := strings.Replace(hubble("EGRESS", "FORWARDED"), "SYN", "ACK", 1)
	for _, tc := range []struct {
		name  string
		lines []string
		want  int64
	}{
		{"both nodes", []string{hubble("EGRESS", "FORWARDED"), hubble("INGRESS", "FORWARDED")}, 1},
		{"two, one of which one node lost", []string{hubble("EGRESS", "FORWARDED"), hubble("EGRESS", "FORWARDED"), hubble("INGRESS", "FORWARDED")}, 2},
		{"the middle", []string{middle, middle, middle}, 1},
		{"the middle of a counted one", []string{hubble("EGRESS", "FORWARDED"), middle, middle}, 1},
		{"no direction", []string{hubble("", "FORWARDED"), hubble("", "FORWARDED")}, 2},
		{"what a proxy handles", []string{hubble("EGRESS", "REDIRECTED")}, 1},
		{"what an audit lets through", []string{hubble("INGRESS", "AUDIT")}, 1},
		{"what is dropped today", []string{hubble("INGRESS", "DROPPED")}, 0},
	} {
		if r := analyze(t, Options{}, tc.lines...); r.Totals[ClassCut] != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, r.Totals[ClassCut], tc.want)
		}
	}
}

// TestClasses: where each connection ends up, and why.
func TestClasses(t *testing.T) {
	flow := func(source, destination string) string {
		return `{"flow":{"verdict":"FORWARDED","is_reply":false,"l4":{"TCP":{"destination_port":80}},` + source + `,` + destination + `}}`
	}
	const toY = `"destination":{"namespace":"b","pod_name":"y"}`
	ip := func(source, destination string) string {
		return fmt.Sprintf(`"IP":{"source":%q,"destination":%q},"source":{}`, source, destination)
	}
	for _, tc := range []struct {
		name, line string
		class      Class
		why        string
	}{
		{"cut", flow(`"source":{"namespace":"a","pod_name":"x"}`, toY), ClassCut, ""},
		{"by address", flow(ip("10.0.0.1", "10.0.0.2"), `"destination":{}`), ClassCut, ""},
		{"allowed", flow(`"source":{"namespace":"b","pod_name":"y"}`, `"destination":{"namespace":"a","pod_name":"x"}`), ClassAllowed, "not isolated"},
		{"its own node", flow(`"source":{"labels":["reserved:host"]}`, toY), ClassAllowed, "its own node"},
		{"another node, whose address is not known", flow(`"source":{"labels":["reserved:remote-node"]}`, toY), ClassCut, ""},
		{"another node", flow(ip("192.168.0.2", ""), toY), ClassCut, ""},
		{"the API server", flow(`"IP":{"source":"192.168.0.9"},"source":{"labels":["reserved:kube-apiserver","reserved:remote-node"]}`, toY), ClassCut, ""},
		{"the world", flow(`"IP":{"source":"8.8.8.8"},"source":{"labels":["reserved:world"]}`, toY), ClassCut, ""},
		{"Cilium's ingress", flow(`"source":{"labels":["reserved:ingress"]}`, toY), ClassNotJudged, "reserved:ingress"},
		{"nothing", flow(`"source":{}`, toY), ClassNotJudged, "no pod name, no address, and no label that tells"},
		{"a pod that Cilium does not manage", flow(`"source":{"labels":["reserved:unmanaged"]}`, toY), ClassNotJudged, "no pod name, no address, and no label that tells"},
		{"the world, somewhere", flow(`"source":{"labels":["reserved:world"]}`, toY), ClassCut, ""},
		{"labels without a name", flow(`"source":{"namespace":"a","labels":["k8s:app=x"]}`, toY), ClassCut, ""},
		{"beside the pods", flow(ip("10.0.0.77", ""), toY), ClassNotJudged, "no pod of the inventory has it"},
		{"gone, with labels", flow(`"source":{"namespace":"a","pod_name":"gone","labels":["k8s:app=gone"]}`, toY), ClassCut, ""},
		{"gone, with a workload", flow(`"source":{"namespace":"a","pod_name":"x-5d8c-abcde"}`, toY), ClassCut, ""},
		{"gone", flow(`"source":{"namespace":"a","pod_name":"gone"}`, toY), ClassNotJudged, "is a pod that is gone"},
		{"an unknown namespace", flow(`"source":{"namespace":"c","pod_name":"gone","labels":["k8s:app=gone"]}`, toY), ClassNotJudged, "a namespace that the inventory does not have"},
		{"no pod", flow(ip("8.8.8.8", "8.8.4.4"), `"destination":{}`), ClassNoPod, ""},
		{"dropped", strings.Replace(flow(`"source":{"namespace":"a","pod_name":"x"}`, toY), "FORWARDED", "DROPPED", 1), ClassNotForwarded, "DROPPED"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := analyze(t, Options{}, tc.line)
			if r.Totals[tc.class] != 1 {
				t.Fatalf("%v, want %s", r.Totals, tc.class)
			}
			if list := r.list(tc.class); list != nil && !strings.Contains((*list)[0].Why, tc.why) {
				t.Errorf("%q, want %q", (*list)[0].Why, tc.why)
			}
		})
	}
}

// TestDeniedToday: what the policies of today deny already is not cut by those of tomorrow.
func TestDeniedToday(t *testing.T) {
	r := analyze(t, Options{Today: compiled(t, denyIngress("b"))}, hubble("EGRESS", "FORWARDED"))
	if r.Totals[ClassDeniedToday] != 1 || r.Totals[ClassCut] != 0 {
		t.Errorf("%v", r.Totals)
	}
}

// TestLimits: with room for little, the totals are right all the same, and the rest is told.
func TestLimits(t *testing.T) {
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf(`{"source":"8.8.8.%d","destination":"b/y","port":80}`, i))
	}
	a := analyze(t, Options{MaxConnections: 7, MaxGroups: 10}, append(lines, lines...)...)
	if a.Totals[ClassCut] != 200 || len(a.Cut) != 10 || a.More[ClassCut] != 180 {
		t.Errorf("%d connections, %d groups, %d more", a.Totals[ClassCut], len(a.Cut), a.More[ClassCut])
	}
	if text, err := a.text(); err != nil || !strings.Contains(text, "180 connections of further kinds") {
		t.Errorf("%v\n%s", err, text)
	}
}

// repeated reads the same lines many times.
type repeated struct {
	lines string
	times int
	rest  string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.times == 0 {
			return 0, io.EOF
		}
		r.rest, r.times = r.lines, r.times-1
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// BenchmarkMillionFlows is one operation of a million of Hubble's lines, of 50,000 distinct connections between 5,000 pods
// in 500 namespaces.
func BenchmarkMillionFlows(b *testing.B) {
	const namespaces, distinct, total = 500, 50000, 1000000
	i := &inventory.Inventory{}
	var names []string
	for n := range namespaces {
		namespace := fmt.Sprintf("ns-%d", n)
		i.AddNamespace(namespace, nil)
		names = append(names, namespace)
		for p := range 10 {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("pod-%d", p), Labels: map[string]string{"app": fmt.Sprintf("app-%d", p)}}}
			pod.Status.PodIP = fmt.Sprintf("10.%d.%d.%d", n/250, n%250, p)
			i.AddPod(pod)
		}
	}
	var lines strings.Builder
	for n := range distinct {
		from, to := n%(namespaces*10), (n*7+n/5000)%(namespaces*10)
		fmt.Fprintf(&lines, `{"flow":{"time":"2026-11-20T08:00:00.123456789Z","uuid":"c5d7a1f4-0000-4000-8000-%012d","verdict":"FORWARDED","ethernet":{"source":"0a:58:0a:f4:00:05","destination":"0a:58:0a:f4:00:06"},"IP":{"source":"10.0.0.5","destination":"10.0.0.6","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":%d,"destination_port":8080,"flags":{"SYN":true}}},"source":{"ID":1234,"identity":45678,"cluster_name":"default","namespace":"ns-%d","labels":["k8s:app=app-%d","k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=ns-%d","k8s:io.cilium.k8s.policy.cluster=default","k8s:io.cilium.k8s.policy.serviceaccount=default","k8s:io.kubernetes.pod.namespace=ns-%d"],"pod_name":"pod-%d","workloads":[{"name":"pod-%d","kind":"Deployment"}]},"destination":{"ID":1235,"identity":45679,"namespace":"ns-%d","labels":["k8s:app=app-%d","k8s:io.kubernetes.pod.namespace=ns-%d"],"pod_name":"pod-%d","workloads":[{"name":"pod-%d","kind":"Deployment"}]},"Type":"L3_L4","node_name":"node-1","event_type":{"type":4,"sub_type":3},"traffic_direction":"EGRESS","trace_observation_point":"TO_OVERLAY","is_reply":false,"Summary":"TCP Flags: SYN"},"node_name":"node-1","time":"2026-11-20T08:00:00.123456789Z"}`+"\n",
			n, 32768+n%20000, from/10, from%10, from/10, from/10, from%10, from%10, to/10, to%10, to/10, to%10, to%10)
	}
	b.SetBytes(int64(lines.Len()) * total / distinct)
	before := heap()
	for b.Loop() {
		a := New(Options{Inventory: i, Today: compiled(b, nil), Tomorrow: compiled(b, denyIngress(names[:namespaces/2]...))})
		a.Read("bench", &repeated{lines: lines.String(), times: total / distinct}, func(bad BadLine) { b.Fatal(bad) }, nil)
		b.ReportMetric(float64(heap()-before)/(1<<20), "heap-MB")
		r := a.Report()
		if r.Totals[ClassCut] == 0 || r.Totals[ClassAllowed] == 0 {
			b.Fatalf("the benchmark is to have both: %v", r.Totals)
		}
	}
}

// heap is what is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
