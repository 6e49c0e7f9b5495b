// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

var _ = Describe("an upgrade", func() {
	It("writes nothing where a version without revisions left all in sync, although the preflight fails meanwhile", func() {
		o := startOperator()
		b := create(baseline())
		namespace := governed(b)
		inSync(b, 1)
		o.stop()

		By("the status and the objects being those of a version that knew no revisions")
		Expect(k8s.DeleteAllOf(ctx, &appsv1.ControllerRevision{}, client.InNamespace(ownNamespace), client.MatchingLabels{v1alpha1.BaselineLabel: b.Name})).To(Succeed())
		now := get(b)
		now.Status.CurrentRevision, now.Status.UpdateRevision = "", ""
		Expect(k8s.Status().Update(ctx, now)).To(Succeed())
		withoutDNS()
		events := recordPolicies(namespace)
		startOperator()
		Eventually(func() string { return get(b).Status.CurrentRevision }).ShouldNot(BeEmpty())
		inSync(b, 1)
		Expect(events.lines()).To(BeEmpty())
		holdsStill(namespace)

		By("the policies being repaired")
		tamper(namespace, b.Name+"-default-deny", openEgress)
		holdsPlain(namespace, b)
	})
})
