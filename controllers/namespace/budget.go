// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import "time"

// Every namespace has a budget of writes, whatever the reason: no webhook, tenant or controller makes a hot loop. The burst is
// more than a baseline of the largest size needs; the rate still repairs within a tenth of a second.
const (
	budgetBurst = 200
	budgetRate  = 10 // a second
)

// budget is a bucket of writes.
type budget struct {
	used float64
	at   time.Time
}

// take uses one write. wait is for how long there is none left.
func (b *budget) take(now time.Time) (wait time.Duration) {
	b.used = max(0, b.used-now.Sub(b.at).Seconds()*budgetRate)
	b.at = now
	if b.used+1 > budgetBurst {
		// At least something: what rounding makes 0 would be a write that is not counted.
		return max(time.Duration((b.used+1-budgetBurst)/budgetRate*float64(time.Second)), time.Microsecond)
	}
	b.used++
	return 0
}

// spend uses one write of a namespace.
func (r *Records) spend(namespace string) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(namespace).budget.take(r.now())
}
