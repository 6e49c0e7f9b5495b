// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admission "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// The scenario_*_test.go files hold one or more specs for each scenario of the review of 86a6f6c. The text of a spec
// begins with the number of its scenario.

const (
	// statusPatience is how long a status may take to follow: the status interval, and room for a slow machine.
	statusPatience = 5 * time.Second
	// backoffPatience is how long a retry may take after a number of failures.
	backoffPatience = 2 * time.Minute
	// operatorName is the user whose rights the operator under test has.
	operatorName = "netbaseline-under-test"
)

// interference delays or refuses requests of the operators that are started after it.
type interference struct {
	mu    sync.Mutex
	rules []*interferenceRule
}

type interferenceRule struct {
	matches func(*http.Request) bool
	// refusal is the answer; nil holds the request until the rule is lifted.
	refusal *metav1.Status
	lifted  chan struct{}
	once    sync.Once
	matched atomic.Int64
}

// interfere lasts until the spec ends. Call it before startOperator.
func interfere() *interference {
	i := &interference{}
	before := operatorConfig
	operatorConfig = rest.CopyConfig(before)
	operatorConfig.Wrap(i.wrap)
	DeferCleanup(func() { operatorConfig = before })
	return i
}

func (i *interference) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		i.mu.Lock()
		rules := slices.Clone(i.rules)
		i.mu.Unlock()
		for _, rule := range rules {
			if !rule.matches(r) || rule.isLifted() {
				continue
			}
			rule.matched.Add(1)
			if rule.refusal != nil {
				return apiError(r, rule.refusal)
			}
			select {
			case <-rule.lifted:
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		return next.RoundTrip(r)
	})
}

// apiError is an answer of the API server that the test makes up.
func apiError(r *http.Request, status *metav1.Status) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	body, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: http.StatusText(int(status.Code)), StatusCode: int(status.Code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}, nil
}

func (i *interference) add(rule *interferenceRule) *interferenceRule {
	rule.lifted = make(chan struct{})
	// Should the spec fail, what it created has to go all the same.
	DeferCleanup(rule.lift)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rules = append(i.rules, rule)
	return rule
}

// hold delays the requests that match until the rule is lifted.
func (i *interference) hold(matches func(*http.Request) bool) *interferenceRule {
	return i.add(&interferenceRule{matches: matches})
}

// refuse answers the requests that match with an error of the API server.
func (i *interference) refuse(matches func(*http.Request) bool, code int32, reason metav1.StatusReason, message string) *interferenceRule {
	return i.add(&interferenceRule{matches: matches, refusal: &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message,
	}})
}

// lift ends a rule. It may be called again.
func (r *interferenceRule) lift() { r.once.Do(func() { close(r.lifted) }) }

func (r *interferenceRule) isLifted() bool {
	select {
	case <-r.lifted:
		return true
	default:
		return false
	}
}

// hit waits until the rule has matched a request.
func (r *interferenceRule) hit() {
	GinkgoHelper()
	Eventually(r.matched.Load).Should(BeNumerically(">", 0), "no request of the operator matches")
}

// reads matches lists and watches of a resource.
func reads(resourceName string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/"+resourceName)
	}
}

// writesTo matches writes of policies to a namespace.
func writesTo(namespace string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/namespaces/"+namespace+"/networkpolicies")
	}
}

// writesIn is how many writes of policies in the namespace the operator has sent since the last forget.
func (o *operator) writesIn(namespace string) int {
	n := 0
	for _, sent := range o.requests.writes("networkpolicies") {
		if strings.Contains(sent, "/namespaces/"+namespace+"/") {
			n++
		}
	}
	return n
}

// webhook is an admission webhook that the API server asks about the policies of one namespace.
type webhook struct {
	namespace     string
	configuration client.Object
	asked         atomic.Int64
}

const webhookName = "scenario.example.com"

// probe is the name of a policy that is written in dry runs only, to learn whether the API server asks the webhook.
const probe = "probe"

// mutating registers a webhook that answers each write of a policy with a JSON patch, until the spec ends or remove is
// called. Register it after the baseline, so that it is removed before the baseline is.
func mutating(namespace, patch string) *webhook {
	GinkgoHelper()
	w := &webhook{namespace: namespace}
	server := w.serve(func(r *admission.AdmissionRequest) *admission.AdmissionResponse {
		if r.Operation == admission.Delete {
			return &admission.AdmissionResponse{Allowed: true}
		}
		return &admission.AdmissionResponse{Allowed: true, Patch: []byte(patch), PatchType: new(admission.PatchTypeJSONPatch)}
	})
	w.register(&admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: unique("scenario")},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: webhookName, AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionv1.SideEffectClassNone), FailurePolicy: new(admissionv1.Fail),
			ClientConfig: clientConfig(server), NamespaceSelector: only(namespace), Rules: policyRules(),
		}},
	})
	return w
}

// validating registers a webhook that refuses the operator's writes for which judge returns a status.
func validating(namespace string, judge func(*admission.AdmissionRequest) *metav1.Status) *webhook {
	GinkgoHelper()
	w := &webhook{namespace: namespace}
	server := w.serve(func(r *admission.AdmissionRequest) *admission.AdmissionResponse {
		if r.UserInfo.Username == operatorName {
			if refusal := judge(r); refusal != nil {
				return &admission.AdmissionResponse{Result: refusal}
			}
		}
		return &admission.AdmissionResponse{Allowed: true}
	})
	w.register(&admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: unique("scenario")},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: webhookName, AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionv1.SideEffectClassNone), FailurePolicy: new(admissionv1.Fail),
			ClientConfig: clientConfig(server), NamespaceSelector: only(namespace), Rules: policyRules(),
		}},
	})
	return w
}

func (w *webhook) serve(answer func(*admission.AdmissionRequest) *admission.AdmissionResponse) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var review admission.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(rw, "no AdmissionReview", http.StatusBadRequest)
			return
		}
		w.asked.Add(1)
		review.Response = answer(review.Request)
		review.Response.UID = review.Request.UID
		_ = json.NewEncoder(rw).Encode(review)
	}))
	server.Config.ErrorLog = log.New(GinkgoWriter, "webhook: ", 0)
	server.StartTLS()
	DeferCleanup(server.Close)
	return server
}

// register creates the configuration and waits until the API server uses it.
func (w *webhook) register(configuration client.Object) {
	GinkgoHelper()
	w.configuration = configuration
	Expect(k8s.Create(ctx, configuration)).To(Succeed())
	DeferCleanup(w.remove)
	Eventually(w.used).Should(BeTrue(), "the API server does not ask the webhook")
}

// remove deletes the configuration and waits until the API server has forgotten it. It may be called again.
func (w *webhook) remove() {
	GinkgoHelper()
	Expect(client.IgnoreNotFound(k8s.Delete(ctx, w.configuration))).To(Succeed())
	Eventually(w.used).Should(BeFalse(), "the API server still asks the webhook")
}

// used reports whether the API server asks the webhook.
func (w *webhook) used() bool {
	before := w.asked.Load()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: probe, Labels: map[string]string{probe: ""}}}
	_ = k8s.Create(ctx, p, client.DryRunAll)
	return w.asked.Load() > before
}

func clientConfig(server *httptest.Server) admissionv1.WebhookClientConfig {
	return admissionv1.WebhookClientConfig{URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
}

func only(namespace string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
}

func policyRules() []admissionv1.RuleWithOperations {
	return []admissionv1.RuleWithOperations{{
		Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete},
		Rule:       admissionv1.Rule{APIGroups: []string{"networking.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"networkpolicies"}},
	}}
}

// noMorePolicies refuses further policies in a namespace, until the spec ends or the quota is deleted. No quota controller runs
// here: admission uses the status as it is.
func noMorePolicies(namespace string) *corev1.ResourceQuota {
	GinkgoHelper()
	const counted = "count/networkpolicies.networking.k8s.io"
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "no-more-policies"}}
	quota.Spec.Hard = corev1.ResourceList{counted: *resource.NewQuantity(int64(len(policies(namespace))), resource.DecimalSI)}
	Expect(k8s.Create(ctx, quota)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(k8s.Delete(ctx, quota))).To(Succeed()) })
	quota.Status.Hard, quota.Status.Used = quota.Spec.Hard, quota.Spec.Hard
	Expect(k8s.Status().Update(ctx, quota)).To(Succeed())
	// Admission reads quotas from a cache.
	Eventually(func() bool {
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: probe}}
		return apierrors.IsForbidden(k8s.Create(ctx, p, client.DryRunAll))
	}).Should(BeTrue(), "the quota is not in force")
	return quota
}

// prometheus is a pod that the preset Prometheus matches, until the spec ends or the returned function is called.
func prometheus() (remove func()) {
	GinkgoHelper()
	name := unique("prometheus")
	namespaceNamed("monitoring", nil)
	newPod("monitoring", name, map[string]string{"app.kubernetes.io/name": "prometheus"})
	return func() {
		GinkgoHelper()
		Expect(k8s.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: name}})).To(Succeed())
	}
}

// profile replaces the profile of a baseline.
func profile(p v1alpha1.Profile) func(*v1alpha1.NetworkBaseline) {
	return func(b *v1alpha1.NetworkBaseline) { b.Spec.Profile = p }
}

// alongside makes a baseline select what another one selects.
func alongside(other *v1alpha1.NetworkBaseline) func(*v1alpha1.NetworkBaseline) {
	return func(b *v1alpha1.NetworkBaseline) { b.Spec.NamespaceSelector = other.Spec.NamespaceSelector }
}

// everywhere is a profile with a default deny of egress and one flow from every pod to every IPv4 address.
func everywhere(b *v1alpha1.NetworkBaseline) {
	b.Spec.Profile = v1alpha1.Profile{DefaultDeny: &v1alpha1.DefaultDeny{Directions: []v1alpha1.Direction{"Egress"}}}
	b.Spec.Flows = []v1alpha1.Flow{{Name: "out", From: v1alpha1.Peer{PodSelector: &v1alpha1.LabelSelector{}}, To: v1alpha1.Peer{CIDR: "0.0.0.0/0"}}}
}

// everywhereFlow is the name of the policy of that flow.
func everywhereFlow(b *v1alpha1.NetworkBaseline) string { return b.Name + "-flow-out-egress" }

// cutting creates two baselines that select the same namespaces: denies allows a flow to everywhere, and platform
// blocks metadata, so that all that it contributes are excepts in a policy of denies.
func cutting(change ...func(platform *v1alpha1.NetworkBaseline)) (denies, platform *v1alpha1.NetworkBaseline) {
	GinkgoHelper()
	denies = create(baseline(everywhere))
	platform = create(baseline(append([]func(*v1alpha1.NetworkBaseline){alongside(denies), profile(v1alpha1.Profile{
		BlockMetadata:   &v1alpha1.BlockMetadata{},
		AllowMonitoring: &v1alpha1.AllowMonitoring{Stacks: []v1alpha1.MonitoringStack{"Prometheus"}},
	})}, change...)...))
	return denies, platform
}

const (
	metadataAddress = "169.254.169.254"
	publicAddress   = "198.51.100.1"
)

// reachable evaluates the live policies of a namespace: whether its pods with these labels may open connections to an
// address outside the cluster, on any port.
func reachable(namespace string, pod map[string]string, address string) bool {
	GinkgoHelper()
	isolated, allowed := false, false
	for _, p := range policies(namespace) {
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		Expect(err).NotTo(HaveOccurred())
		if !selector.Matches(labels.Set(pod)) || !slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
			continue
		}
		isolated = true
		allowed = allowed || slices.ContainsFunc(p.Spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool {
			return len(rule.To) == 0 || slices.ContainsFunc(rule.To, func(to networkingv1.NetworkPolicyPeer) bool { return holdsAddress(to.IPBlock, address) })
		})
	}
	return !isolated || allowed
}

func holdsAddress(block *networkingv1.IPBlock, address string) bool {
	if block == nil {
		return false
	}
	in := func(cidr string) bool { return netip.MustParsePrefix(cidr).Contains(netip.MustParseAddr(address)) }
	return in(block.CIDR) && !slices.ContainsFunc(block.Except, in)
}

// problemsOf are the problems of a reason that the baseline lists.
func problemsOf(b *v1alpha1.NetworkBaseline, reason string) []v1alpha1.Problem {
	GinkgoHelper()
	return slices.DeleteFunc(get(b).Status.Problems, func(p v1alpha1.Problem) bool { return p.Reason != reason })
}

// condition is "<status>/<reason>" of a condition as it is now, at the baseline's generation.
func condition(b *v1alpha1.NetworkBaseline, conditionType string) string {
	GinkgoHelper()
	return conditionOf(get(b), conditionType)
}

// eventually waits until a condition is this.
func eventually(b *v1alpha1.NetworkBaseline, conditionType, want string) {
	GinkgoHelper()
	Eventually(func() string { return condition(b, conditionType) }).Should(Equal(want), conditionType)
}

// neverReady checks that the baseline does not say that it is Ready, at this generation or an older one.
func neverReady(b *v1alpha1.NetworkBaseline, intervals ...any) {
	GinkgoHelper()
	Consistently(func() string { return readyAtAll(b) }, intervals...).ShouldNot(Equal("True"))
}

// readyAtAll is the status of the Ready condition, whatever generation it is of.
func readyAtAll(b *v1alpha1.NetworkBaseline) string {
	GinkgoHelper()
	for _, c := range get(b).Status.Conditions {
		if c.Type == "Ready" {
			return string(c.Status)
		}
	}
	return ""
}

// rolledOut waits until the revision of the spec has been admitted and is in force everywhere, and returns its name.
func rolledOut(b *v1alpha1.NetworkBaseline) string {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		now := get(b)
		g.Expect(now.Status.ObservedGeneration).To(Equal(now.Generation))
		g.Expect(now.Status.CurrentRevision).NotTo(BeEmpty(), "status.currentRevision")
		g.Expect(now.Status.UpdateRevision).To(Equal(now.Status.CurrentRevision), "status.updateRevision")
		g.Expect(now.Status.Rollout).To(BeNil(), "status.rollout")
	}).Should(Succeed())
	name := get(b).Status.CurrentRevision
	Expect(revisionNames()).To(ContainElement(name), "the ControllerRevision exists")
	return name
}

func revisionNames() []string {
	GinkgoHelper()
	var list appsv1.ControllerRevisionList
	Expect(k8s.List(ctx, &list)).To(Succeed())
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

func deletePolicy(namespace, name string) {
	GinkgoHelper()
	Expect(k8s.Delete(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})).To(Succeed())
}

// deleteAll deletes every policy of a namespace.
func deleteAll(namespace string) {
	GinkgoHelper()
	Expect(k8s.DeleteAllOf(ctx, &networkingv1.NetworkPolicy{}, client.InNamespace(namespace))).To(Succeed())
}

func sliceNamed(name string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name}}
}
