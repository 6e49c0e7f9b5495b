// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	admission "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

const (
	// webhookWords is what a webhook of ours says.
	webhookWords = "chaos says no"
	// alteredLabel is the label that a mutating webhook alters.
	alteredLabel = "app.kubernetes.io/managed-by"
)

// part is some of the writes of policies.
type part struct {
	name string
	has  func(*admission.AdmissionRequest) bool
}

var parts = []part{
	{"all writes", func(*admission.AdmissionRequest) bool { return true }},
	{"creates", func(r *admission.AdmissionRequest) bool { return r.Operation == admission.Create }},
	{"updates", func(r *admission.AdmissionRequest) bool { return r.Operation == admission.Update }},
	{"deletes", func(r *admission.AdmissionRequest) bool { return r.Operation == admission.Delete }},
	{"writes of denies", func(r *admission.AdmissionRequest) bool { return strings.HasSuffix(r.Name, "-default-deny") }},
	{"writes of allow-dns and flows", func(r *admission.AdmissionRequest) bool {
		return strings.HasSuffix(r.Name, "-allow-dns") || strings.Contains(r.Name, "-flow-")
	}},
}

// refusingBy lets a webhook refuse some of the operator's writes, with a code, for a while.
func (w *world) refusingBy(code int32, some part, length time.Duration) func(context.Context, func() error) error {
	return w.hooked(false, length, func(r *admission.AdmissionRequest) *admission.AdmissionResponse {
		if !some.has(r) {
			return allow()
		}
		reason := map[int32]metav1.StatusReason{
			http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusConflict: metav1.StatusReasonConflict, http.StatusNotFound: metav1.StatusReasonNotFound,
		}[code]
		return &admission.AdmissionResponse{Result: &metav1.Status{Message: webhookWords, Code: code, Reason: reason}}
	})
}

// hanging lets the first writes pass, and never answers the others, for a while.
func (w *world) hanging(first int32, length time.Duration) func(context.Context, func() error) error {
	var count atomic.Int32
	return w.hooked(false, length, func(*admission.AdmissionRequest) *admission.AdmissionResponse {
		if count.Add(1) <= first {
			return allow()
		}
		return nil
	})
}

// altering lets a webhook alter a label of every policy that the operator writes, for a while: always to the same value,
// so that a second write changes nothing, or, if it is fickle, to another each time, so that each write is an event.
func (w *world) altering(fickle bool, length time.Duration) func(context.Context, func() error) error {
	var count atomic.Int32
	return w.hooked(true, length, func(r *admission.AdmissionRequest) *admission.AdmissionResponse {
		var p networkingv1.NetworkPolicy
		if json.Unmarshal(r.Object.Raw, &p) != nil || p.Labels[alteredLabel] == "" {
			return allow()
		}
		value := "chaos"
		if fickle {
			value = fmt.Sprintf("chaos-%d", count.Add(1))
		}
		kind := admission.PatchTypeJSONPatch
		patch := fmt.Appendf(nil, `[{"op":"replace","path":"/metadata/labels/%s","value":%q}]`, strings.ReplaceAll(alteredLabel, "/", "~1"), value)
		return &admission.AdmissionResponse{Allowed: true, PatchType: &kind, Patch: patch}
	})
}

func allow() *admission.AdmissionResponse { return &admission.AdmissionResponse{Allowed: true} }

// hooked installs a webhook for the policies of the governed namespaces, which judges the operator's writes and lets
// everybody else's pass, while the change is asked for and for a while after that. nil from judge is no answer.
func (w *world) hooked(mutating bool, length time.Duration, judge func(*admission.AdmissionRequest) *admission.AdmissionResponse) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		var called atomic.Bool
		var armed atomic.Bool
		gone := make(chan struct{})
		server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			var review admission.AdmissionReview
			body, _ := io.ReadAll(r.Body)
			if json.Unmarshal(body, &review) != nil || review.Request == nil {
				rw.WriteHeader(http.StatusBadRequest)
				return
			}
			response := allow()
			switch {
			case review.Request.DryRun != nil && *review.Request.DryRun:
				called.Store(true)
			case armed.Load() && review.Request.UserInfo.Username == localcluster.OperatorUser:
				response = judge(review.Request)
			}
			if response == nil {
				select {
				case <-gone:
				case <-r.Context().Done():
				}
				return
			}
			response.UID = review.Request.UID
			review.Response = response
			_ = json.NewEncoder(rw).Encode(review)
		}))
		server.Config.ErrorLog = quiet
		hook := w.hook(server, mutating)
		defer func() {
			armed.Store(false)
			close(gone)
			_ = w.client.Delete(ctx, hook)
			// The API server learns of it from a watch; until then it asks.
			wait(ctx, 100*time.Millisecond)
			server.Close()
		}()
		if err := w.client.Create(ctx, hook); err != nil {
			return err
		}
		if err := w.answers(ctx, &called); err != nil {
			return err
		}
		armed.Store(true)
		if err := asked(); err != nil {
			return err
		}
		wait(ctx, length)
		return nil
	}
}

func (w *world) hook(server *httptest.Server, mutating bool) client.Object {
	url, none, fail, second := server.URL, admissionv1.SideEffectClassNone, admissionv1.Fail, int32(1)
	config := admissionv1.WebhookClientConfig{URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
	governed := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: w.namespaces}}}
	operations := []admissionv1.OperationType{admissionv1.Create, admissionv1.Update}
	if !mutating {
		operations = append(operations, admissionv1.Delete)
	}
	rules := []admissionv1.RuleWithOperations{{
		Operations: operations,
		Rule:       admissionv1.Rule{APIGroups: []string{"networking.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"networkpolicies"}},
	}}
	const name = "chaos.example.com"
	if mutating {
		return &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "chaos"}, Webhooks: []admissionv1.MutatingWebhook{{
			Name: name, AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &fail, TimeoutSeconds: &second,
			ClientConfig: config, NamespaceSelector: governed, Rules: rules,
		}}}
	}
	return &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "chaos"}, Webhooks: []admissionv1.ValidatingWebhook{{
		Name: name, AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &fail, TimeoutSeconds: &second,
		ClientConfig: config, NamespaceSelector: governed, Rules: rules,
	}}}
}

// answers waits until the API server asks the webhook.
func (w *world) answers(ctx context.Context, called *atomic.Bool) error {
	for range 1000 {
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespaces[0], Name: "probe"}}
		_ = w.client.Create(ctx, p, client.DryRunAll)
		if called.Load() {
			return nil
		}
		wait(ctx, poll)
	}
	return errors.New("the API server does not ask the webhook")
}
