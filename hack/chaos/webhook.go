// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// webhook is asked about every policy of the governed namespaces. It lets the first pass, and then refuses, or never
// answers, until the baseline says that writes are refused and a while is over.
func (w *world) webhook(hang bool, first int32, length time.Duration) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		var armed atomic.Bool
		var count atomic.Int32
		gone := make(chan struct{})
		server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			var review admission.AdmissionReview
			body, _ := io.ReadAll(r.Body)
			_ = json.Unmarshal(body, &review)
			dry := review.Request.DryRun != nil && *review.Request.DryRun
			allow := !dry && (!armed.Load() || count.Add(1) <= first)
			if !allow && !dry && hang {
				select {
				case <-gone:
				case <-r.Context().Done():
				}
			}
			review.Response = &admission.AdmissionResponse{UID: review.Request.UID, Allowed: allow, Result: &metav1.Status{Message: "chaos says no"}}
			_ = json.NewEncoder(rw).Encode(review)
		}))
		server.Config.ErrorLog = quiet
		defer server.Close()
		defer close(gone)
		hook := w.hook(server)
		if err := w.client.Create(ctx, hook); err != nil {
			return err
		}
		defer func() { _ = w.client.Delete(ctx, hook) }()
		if err := w.hooked(ctx); err != nil {
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

func (w *world) hook(server *httptest.Server) *admissionv1.ValidatingWebhookConfiguration {
	url, none, fail, second := server.URL, admissionv1.SideEffectClassNone, admissionv1.Fail, int32(1)
	return &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "chaos"},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "chaos.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &fail, TimeoutSeconds: &second,
			ClientConfig:      admissionv1.WebhookClientConfig{URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})},
			NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: w.namespaces}}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete},
				Rule:       admissionv1.Rule{APIGroups: []string{"networking.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"networkpolicies"}},
			}},
		}},
	}
}

// hooked waits until the API server asks the webhook.
func (w *world) hooked(ctx context.Context) error {
	for range 1000 {
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespaces[0], Name: "probe"}}
		err := w.client.Create(ctx, p, client.DryRunAll)
		if apierrors.IsForbidden(err) || apierrors.IsInternalError(err) || err != nil && strings.Contains(err.Error(), "chaos") {
			return nil
		}
		wait(ctx, poll)
	}
	return errors.New("the API server does not ask the webhook")
}
