// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "time"

// measurements are all that one run found, and what docs/benchmarks.json holds.
type measurements struct {
	Started  time.Time `json:"started"`
	Machine  machine   `json:"machine"`
	Settings settings  `json:"settings"`
	Rows     []row     `json:"rows"`
	Sizes    []size    `json:"sizes"`
}

// size is what was measured with one number of namespaces.
type size struct {
	Namespaces   int    `json:"namespaces"`
	PerNamespace int    `json:"policiesPerNamespace"`
	Kubernetes   string `json:"-"`

	Rounds     []round     `json:"rounds"`
	Repair     repair      `json:"repair"`
	Newcomers  summary     `json:"newNamespaceMilliseconds"`
	Restart    *restart    `json:"restart"`
	Unadmitted *unadmitted `json:"restartWhileAPreflightFails"`
	// Of the size Detail alone.
	Idle    *idle  `json:"idle,omitempty"`
	Storm   *storm `json:"storm,omitempty"`
	Busy    *busy  `json:"busy,omitempty"`
	BusyAPF *busy  `json:"busyWithAPF,omitempty"`
	Soak    *soak  `json:"soak,omitempty"`
}

// round is one ceiling and, right after it, the operator doing the same.
type round struct {
	Creates throughput `json:"ceilingCreates"`
	// Updates and Rerenders change the same policies, several times.
	Updates     []throughput `json:"ceilingUpdates"`
	Convergence convergence  `json:"convergence"`
	Rerenders   []throughput `json:"rerenders"`
	// Deletes and Removal take the same policies away: plain writers, and the operator when the baseline is deleted.
	Deletes throughput `json:"ceilingDeletes"`
	Removal removal    `json:"removal"`
}

// throughput is a number of writes and the time from the first request to the last event that a watcher saw.
type throughput struct {
	Writes  int     `json:"writes"`
	Seconds float64 `json:"seconds"`
	// Seen is the number of writes that the watcher saw: more than Writes if some were superfluous.
	Seen  int     `json:"seen"`
	Curve []point `json:"curve,omitempty"`
	// CPU is the CPU time in seconds by program, while that lasted.
	CPU map[string]float64 `json:"cpuSeconds,omitempty"`
}

func (t throughput) rate() float64 { return float64(t.Writes) / t.Seconds }

// convergence is a baseline's way from being applied to having every policy in its final form.
type convergence struct {
	throughput
	ReadySeconds float64 `json:"readySeconds"`
	StatusWrites int     `json:"statusWrites"`
	// StatusRate is the number of status writes a second, counted between the first and the last of them.
	StatusRate float64 `json:"statusWritesPerSecond"`
	// Requests of the operator by HTTP method, as it counts them itself.
	Requests map[string]int `json:"requests"`
	// Served are the API server's counts by verb and resource, the benchmark's own requests among them.
	Served    map[string]int `json:"served"`
	RSSBefore int64          `json:"rssBeforeBytes"`
	RSSAfter  int64          `json:"rssAfterBytes"`
	RSSPeak   int64          `json:"rssPeakBytes"`
}

// repair is how long a watcher saw a policy harmed, in milliseconds: by the operator, and by a bare loop in turns.
type repair struct {
	Edited      summary `json:"editedMilliseconds"`
	Deleted     summary `json:"deletedMilliseconds"`
	BareEdited  summary `json:"bareEditedMilliseconds"`
	BareDeleted summary `json:"bareDeletedMilliseconds"`
}

type idle struct {
	Seconds float64 `json:"seconds"`
	// Requests of the operator by method; Watches are those of the GETs that renewed a watch.
	Requests map[string]int `json:"requests"`
	Watches  int            `json:"watches"`
	Other    int            `json:"otherThanWatches"`
	CPU      float64        `json:"cpuSeconds"`
}

type storm struct{ throughput }

// busy is what others see of a first convergence.
type busy struct {
	Namespaces   int     `json:"namespaces"`
	Convergences int     `json:"convergences"`
	Repair       summary `json:"repairMilliseconds"`
	// Another client's lists: before, while plain writers create the same policies, and during the convergences.
	NeighbourIdle  summary `json:"neighbourIdleMilliseconds"`
	NeighbourPlain summary `json:"neighbourUnderPlainWritesMilliseconds"`
	Neighbour      summary `json:"neighbourMilliseconds"`
	// RSS with the policies of both baselines in place.
	RSS      int64 `json:"rssBytes"`
	Policies int   `json:"policies"`
}

type soak struct {
	Seconds float64 `json:"seconds"`
	Harms   int     `json:"harms"`
	RSS     []point `json:"rss"` // seconds, MiB
	// Early and Late are the medians of the second and of the last quarter, in MiB.
	Early float64 `json:"earlyMiB"`
	Late  float64 `json:"lateMiB"`
}

type restart struct {
	ReadySeconds  float64 `json:"readySeconds"`
	PolicyWrites  int     `json:"policyWrites"`
	StatusWrites  int     `json:"statusWrites"`
	OtherRequests int     `json:"requestsOtherThanGet"`
}

// unadmitted is a restart while nothing that a preflight looks for is there.
type unadmitted struct {
	// ToldSeconds is from the start of the process to the status that says so.
	ToldSeconds float64 `json:"toldSeconds"`
	// PolicyWrites are those until all is there again and the baseline is ready.
	PolicyWrites int `json:"policyWrites"`
}

// removal is a baseline's way from the request that deletes it to the event of its last policy.
type removal struct {
	throughput
	// GoneSeconds is until the baseline itself is gone.
	GoneSeconds float64 `json:"goneSeconds"`
}

// point is one of a curve.
type point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}
