// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	admission "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// holdLabel is that of namespaces in which the creation and deletion of policies can be held.
const holdLabel = "example.com/hold"

// hold is an admission webhook that answers late: while it holds a namespace, the operator is in the middle of its work
// for as long as a test wants to look.
type hold struct {
	server *httptest.Server

	mu    sync.Mutex
	gates map[string]chan struct{} // of the namespaces that are held
	asked map[string]bool          // by path
}

func newHold(ctx context.Context, c client.Client) (*hold, error) {
	h := &hold{gates: map[string]chan struct{}{}, asked: map[string]bool{}}
	h.server = httptest.NewUnstartedServer(http.HandlerFunc(h.answer))
	h.server.Config.ErrorLog = stdlog.New(io.Discard, "", 0) // of API servers that end
	h.server.StartTLS()
	url, none, fail, patience := h.server.URL, admissionv1.SideEffectClassNone, admissionv1.Fail, int32(30)
	err := c.Create(ctx, &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "hold"},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "hold.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &fail, TimeoutSeconds: &patience,
			ClientConfig:      admissionv1.WebhookClientConfig{URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw})},
			NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: holdLabel, Operator: metav1.LabelSelectorOpExists}}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Delete},
				Rule:       admissionv1.Rule{APIGroups: []string{"networking.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"networkpolicies"}},
			}},
		}},
	})
	if err == nil {
		err = h.alter(ctx, c)
	}
	if err == nil {
		err = h.awaitFirst(ctx, c)
	}
	return h, err
}

// awaitFirst returns when the API server asks both webhooks, which it does only some time after it was told to.
func (h *hold) awaitFirst(ctx context.Context, c client.Client) error {
	const probe = "hold-probe"
	if err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: probe, Labels: map[string]string{holdLabel: "", alterLabel: ""}}}); err != nil {
		return err
	}
	for {
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: probe, Name: probe}}
		if err := c.Create(ctx, p, client.DryRunAll); err != nil {
			return err
		}
		h.mu.Lock()
		asked := len(h.asked)
		h.mu.Unlock()
		if asked == 2 {
			return nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answer admits everything: late, or altered.
func (h *hold) answer(w http.ResponseWriter, r *http.Request) {
	var review admission.AdmissionReview
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &review)
	}
	if err != nil || review.Request == nil {
		http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
		return
	}
	review.Response = &admission.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	gate := h.gate(r.URL.Path, review.Request.Namespace)
	switch {
	case r.URL.Path == alterPath:
		review.Response.Patch, review.Response.PatchType = []byte(alteration), ptr.To(admission.PatchTypeJSONPatch)
	case gate != nil:
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}
	_ = json.NewEncoder(w).Encode(review)
}

// gate is what a request to a path waits for; nil for nothing.
func (h *hold) gate(path, namespace string) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked[path] = true
	return h.gates[namespace]
}

// hold lets the creation and deletion of policies in a namespace wait until the result is called.
func (h *hold) hold(namespace string) (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	gate := make(chan struct{})
	h.gates[namespace] = gate
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.gates, namespace)
		close(gate)
	})
}

func (h *hold) close() {
	h.server.CloseClientConnections()
	h.server.Close()
}
