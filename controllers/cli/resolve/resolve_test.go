// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/controllers/inventory"
)

func testInventory() *inventory.Inventory {
	i := &inventory.Inventory{}
	i.AddNamespace("shop", nil)
	i.AddNamespace("default", nil)
	for _, name := range []string{"web-0", "web-1"} {
		yes := true
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app.kubernetes.io/name": "web"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: "web", Controller: &yes}}}}
		p.Status.PodIP = "10.0.0.1" + name[4:]
		p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}
		i.AddPod(p)
	}
	i.AddService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "front"}, Spec: corev1.ServiceSpec{
		ClusterIPs: []string{"10.96.0.7"}, Selector: map[string]string{"app.kubernetes.io/name": "web"},
		Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http")}, {Port: 81}},
	}})
	i.AddService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "external"}})
	i.AddNode(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Address: "192.168.0.1"}}}})
	return i
}

// TestDestinations: what can be written as a destination, and what it stands for; or the error that says what to write.
func TestDestinations(t *testing.T) {
	i := testInventory()
	for text, want := range map[string]string{
		"shop/web-0:8080":                   "shop/web-0 8080",
		"shop/web-0:http":                   "shop/web-0 8080",
		"shop/web:8080":                     "shop/web-0 8080, shop/web-1 8080",
		"shop/app.kubernetes.io/name=web:1": "shop/web-0 1, shop/web-1 1",
		"shop/app=new:1":                    "shop/app=new 1",
		"app.kubernetes.io/name=x:1":        "default/app.kubernetes.io/name=x 1",
		"shop/front:80":                     "shop/web-0 8080, shop/web-1 8080",
		"shop/svc/front:80":                 "shop/web-0 8080, shop/web-1 8080",
		"shop/svc/web:80":                   "! no pod, workload or Service of this name",
		"shop/front:81":                     "shop/web-0 81, shop/web-1 81",
		"10.96.0.7:80":                      "shop/web-0 8080, shop/web-1 8080",
		"10.0.0.10:8080":                    "shop/web-0 8080",
		"192.168.0.1:10250":                 "node node-1 (192.168.0.1) 10250",
		"8.8.8.8:53/udp":                    "8.8.8.8 53",
		"[2001:db8::1]:443":                 "2001:db8::1 443",
		"internet:443":                      "1.1.1.1 443, 2606:4700:4700::1111 443",
		"shop/web-0":                        "! has no port: write shop/web-0:443",
		"2001:db8::1":                       "! an IPv6 address goes in brackets",
		"2001:db8::1:443":                   "! an IPv6 address goes in brackets",
		"shop/web-0:0":                      "! write a number from 1 to 65535",
		"shop/web-0:70000":                  "! write a number from 1 to 65535",
		"shop/web-0:80/ICMP":                "! write TCP, UDP or SCTP",
		"shop/web-0:metrics":                "! shop/web-0 has no TCP port metrics; it has http (TCP 8080)",
		"8.8.8.8:http":                      "! an address has no port names",
		"shop/wbe:80":                       "! no pod, workload or Service of this name; it has web-0, web-1. For pods that do not exist yet, write labels: shop/app=wbe",
		"shp/web:80":                        "! there is no namespace shp; there are default, shop",
		"shop/front:82":                     "! has no port TCP 82; it has TCP 80, TCP 81",
		"shop/external:82":                  "! has no selector",
		"shop/a/b:82":                       "! is no endpoint: write namespace/pod",
		"shop/:82":                          "! is no endpoint: write namespace/pod",
		"shop/a=b=c:82":                     "! write namespace/key=value",
	} {
		var got []string
		r, port, err := ParseDestination(text, "default")
		if err == nil {
			var found Result
			found, err = Resolve(i, r, &port)
			for _, target := range found.Targets {
				got = append(got, target.Name+" "+strings.TrimPrefix(Port{Number: target.Port}.String(), " "))
			}
		}
		if message, bad := strings.CutPrefix(want, "! "); bad {
			if err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("%s: %v, %v; want %q", text, got, err, message)
			}
		} else if err != nil || strings.Join(got, ", ") != want {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
}

// TestSources: a Service opens no connections.
func TestSources(t *testing.T) {
	r, err := Parse("shop/front", "default")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(testInventory(), r, nil); err == nil || !strings.Contains(err.Error(), "opens no connections") {
		t.Error(err)
	}
}

// FuzzParse: whatever is written, it is an endpoint or an error.
func FuzzParse(f *testing.F) {
	f.Add("shop/web-0:8080")
	f.Add("[::1]:53/UDP")
	i := testInventory()
	f.Fuzz(func(t *testing.T, text string) {
		r, port, err := ParseDestination(text, "default")
		if err != nil {
			return
		}
		if port.Name == "" && (port.Number < 1 || port.Number > 65535) {
			t.Errorf("%q: port %d", text, port.Number)
		}
		found, err := Resolve(i, r, &port)
		if (err == nil) == (len(found.Targets) == 0) {
			t.Errorf("%q: %v, %v", text, found, err)
		}
	})
}
