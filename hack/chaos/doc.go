// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chaos runs the operator as a process against a real control plane, does harm to both, and checks after each
// change that the guarantees held in every state in between, that nothing of anybody else was touched, and that all is in
// place and said to be.
//
// # Episodes
//
// An episode begins and ends in a settled state: every namespace holds exactly the policies that its baselines ask for,
// and every baseline says so (settled.go). In between there is one change of a baseline, of a namespace's label or of a
// policy of ours (actions.go, tamper.go), and faults while it is made (faults.go, webhook.go, admission.go). The recorder
// reads every state of every namespace from etcd, so that no fault of the API server hides one.
//
// What a settled state should hold is asked of the operator's own code in one function, wanted. Everything else asks
// kube-network-policies, the reference implementation of others, what a state allows, connection by connection: each from
// one pod of its own, in one direction (oracle.go).
//
// # No gap, no opening
//
// B and A are the connections that the settled states before and after an episode allow. Without tampering, each recorded
// state S must lie between the two:
//
//	no gap:     B ∧ A → S
//	no opening: S → B ∨ A
//
// A tamperer writes to policies of ours meanwhile, and the operator answers for its own writes alone. An event is the
// tamperer's when the tamperer knows its revision, or, for a deletion, the UID of the policy that its own request ended;
// every other event is the operator's, so that a doubt counts against the operator.
//
// A harm stands from the tamperer's write to a policy until the operator writes that policy. S without a set of harms is S
// with each of these policies as it was before the harm. For each write of the operator, from S to S', to a policy p:
//
//	gap:       a connection of B ∧ A that S allows and S' does not;
//	opening:   a connection outside B ∨ A that S' allows and S does not;
//	remainder: a connection outside B ∨ A that S' without all harms that still stand allows. It is open by something that
//	           the operator wrote, and not by what it has not come to yet.
//
// Where no harm stands, these are the two rules above, by induction from B. With harms there are two excuses, for gap and
// opening alike; a remainder has none:
//
//   - Only the harm to p itself had kept the connection as it was, and another harm, which still stands, is why it changed:
//     S without the harm to p already has the new value, and S without all harms has the old one. An example: somebody
//     opens p and deletes q, which allowed the connection. To take the intruder's rule out of p must not wait for q.
//   - The operator could not know: without the harms of the last two seconds, S' has the right value. A write was decided
//     before them.
//
// What the tamperer changes is not the operator's fault, and how soon it is put right is not the judge's question: the
// settled state asks for the end, and the directed tests for the time, while other writes are refused as well
// (directed_test.go).
//
// An edit changes either what acts at once (excludedNamespaces) or what is admitted first (profile, flows, selector): both
// together are two changes with a wanted state in between, which is neither B nor A. A policy that lost its labels while
// the operator was killed belongs to nobody any more; no fault that kills goes with such a harm.
//
// # Other guarantees
//
//   - Truth: while an episode lasts, no baseline says Ready=True at its generation for long while a policy of it is amiss
//     (lies.go). A refusal is told in the webhook's words, whatever its code.
//   - Quiet: a restart writes nothing, with slow lists and without what a preflight looks for. An altering webhook makes no
//     hot loop.
//   - Admission: what is in force stays so, and is repaired, while a preflight fails.
//   - Ownership: the decoys of somebody else are to the byte what they were.
//
// # Running it
//
// CHAOS_SECONDS is how long the random part runs by each of CHAOS_SEEDS: the same seed takes the same actions and makes the
// same faults; when they meet is up to the machine. A guarantee that was broken does not end a test, because the world
// settles all the same; a world that does not settle does.
package chaos
