// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"encoding/pem"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// alterLabel is that of namespaces in which a webhook changes every policy that is created or updated.
	alterLabel = "example.com/alter"
	alterPath  = "/alter"
	// alteration is what the webhook does to a policy: it then allows egress that nobody asked for.
	alteration = `[{"op": "add", "path": "/spec/egress", "value": [{"ports": [{"protocol": "TCP", "port": 9}]}]}]`
)

// alter lets the API server ask the same process, as a mutating webhook.
func (h *hold) alter(ctx context.Context, c client.Client) error {
	return c.Create(ctx, &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "alter"},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: "alter.example.com", AdmissionReviewVersions: []string{"v1"},
			SideEffects: ptr.To(admissionv1.SideEffectClassNone), FailurePolicy: ptr.To(admissionv1.Fail),
			ClientConfig: admissionv1.WebhookClientConfig{
				URL: ptr.To(h.server.URL + alterPath), CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: alterLabel, Operator: metav1.LabelSelectorOpExists}}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
				Rule:       admissionv1.Rule{APIGroups: []string{"networking.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"networkpolicies"}},
			}},
		}},
	})
}
