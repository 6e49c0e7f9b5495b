// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ofPolicy says whether a request is about policies, or about the revisions that they come from.
func ofPolicy(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/networkpolicies") || strings.Contains(r.URL.Path, "/controllerrevisions")
}

// killAtEveryWrite lets each write of a policy arrive, and kills the operator before it gets the answer; limit times.
func (w *world) killAtEveryWrite(limit int) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		kills := 0
		w.proxy.set(func(_ int, r *http.Request) verdict {
			if !ofPolicy(r) || kills == limit {
				return verdict{}
			}
			kills++
			return verdict{lost: true, after: w.killAll}
		})
		return w.during(ctx, asked)
	}
}

// during does the change and waits for the operator to have settled, so that the fault lasts that long.
func (w *world) during(ctx context.Context, asked func() error) error {
	if err := asked(); err != nil {
		return err
	}
	_, err := w.settled(ctx)
	return err
}

// killAt kills the operator at one write: before it arrives, or after.
func (w *world) killAt(k int, before bool) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		w.proxy.set(func(n int, _ *http.Request) verdict {
			switch {
			case n != k:
				return verdict{}
			case before:
				return verdict{refuse: http.StatusServiceUnavailable, after: w.killAll}
			default:
				return verdict{lost: true, after: w.killAll}
			}
		})
		return w.during(ctx, asked)
	}
}

// killSoon kills the operator after a while.
func (w *world) killSoon(after time.Duration) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		defer w.killAll()
		defer wait(ctx, after)
		return asked()
	}
}

// refusing refuses some of the first writes, with these codes in turn.
func (w *world) refusing(some, first int, codes ...int) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		w.proxy.set(func(n int, _ *http.Request) verdict {
			if n <= first && n%some == 0 {
				return verdict{refuse: codes[n%len(codes)]}
			}
			return verdict{}
		})
		return w.during(ctx, asked)
	}
}

// losing lets some of the first writes arrive without an answer, and delays the others.
func (w *world) losing(some, first int, delay time.Duration) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		w.proxy.set(func(n int, _ *http.Request) verdict {
			return verdict{delay: delay, lost: n <= first && n%some == 0}
		})
		return w.during(ctx, asked)
	}
}

// cutting ends the operator's watches again and again.
func (w *world) cutting(times int, every time.Duration) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		err := asked()
		for range times {
			w.proxy.cutWatches()
			wait(ctx, every)
		}
		return err
	}
}

// unplugged keeps the operator from the API server for a while, from its k-th write on.
func (w *world) unplugged(k int, length time.Duration) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		if err := w.come(k, asked, func(reached func()) verdict { return verdict{after: reached} }); err != nil {
			return err
		}
		w.proxy.disconnect(true)
		wait(ctx, length)
		w.proxy.disconnect(false)
		return nil
	}
}

// restartAPIServer kills kube-apiserver, and starts it again, after the operator's k-th write.
func (w *world) restartAPIServer(k int) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		return w.atWrite(k, asked, func() error { return w.cluster.RestartAPIServer(ctx) })
	}
}

// pauseEtcd stops etcd for a while after the operator's k-th write.
func (w *world) pauseEtcd(k int, length time.Duration) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		return w.atWrite(k, asked, func() error {
			resume, err := w.cluster.PauseEtcd(ctx)
			if err != nil {
				return err
			}
			wait(ctx, length)
			return resume()
		})
	}
}

// atWrite does harm when the operator has written k times, or a second after the change when it does not.
func (w *world) atWrite(k int, asked, harm func() error) error {
	if err := w.come(k, asked, func(reached func()) verdict { reached(); return verdict{} }); err != nil {
		return err
	}
	return harm()
}

// come asks for a change, and returns when the operator has come to its k-th write, or a second later when it does not.
// at says what becomes of that write, and calls reached.
func (w *world) come(k int, asked func() error, at func(reached func()) verdict) error {
	came := make(chan struct{})
	w.proxy.set(func(n int, _ *http.Request) verdict {
		if n == k {
			return at(func() { close(came) })
		}
		return verdict{}
	})
	if err := asked(); err != nil {
		return err
	}
	select {
	case <-came:
	case <-time.After(time.Second):
	}
	return nil
}

// quota lets so many more policies into each namespace, for a while.
func (w *world) quota(room int64, length time.Duration) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		defer func() {
			for _, namespace := range w.namespaces {
				_ = w.client.Delete(ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "chaos"}})
			}
		}()
		for _, namespace := range w.namespaces {
			if err := w.limit(ctx, namespace, room); err != nil {
				return err
			}
		}
		if err := asked(); err != nil {
			return err
		}
		wait(ctx, length)
		return nil
	}
}

func (w *world) limit(ctx context.Context, namespace string, room int64) error {
	const counted = "count/networkpolicies.networking.k8s.io"
	held := int64(len(w.recorder.of(namespace)))
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "chaos"}}
	q.Spec.Hard = corev1.ResourceList{counted: *resource.NewQuantity(held+room, resource.DecimalSI)}
	if err := w.client.Create(ctx, q); err != nil {
		return err
	}
	// The controller that counts does not run here; admission goes by the status.
	q.Status = corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: corev1.ResourceList{counted: *resource.NewQuantity(held, resource.DecimalSI)}}
	return w.client.Status().Update(ctx, q)
}

// killAll kills every replica without warning.
func (w *world) killAll() {
	for _, r := range w.replicas {
		r.kill()
	}
}

// tamperingAt does harm to a policy of ours when the operator has come to its k-th write.
func (w *world) tamperingAt(k int, h harm, victim int) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		return w.atWrite(k, asked, func() error {
			if ours := w.ours(w.namespaces...); len(ours) > 0 {
				p := ours[victim%len(ours)]
				return w.harm(ctx, p.Namespace, p.Name, h)
			}
			return nil
		})
	}
}

// randomFault is harm of one kind, chosen by the source alone. kills: the operator may start anew.
func (w *world) randomFault(r *rand.Rand) (name string, kills bool, do func(context.Context, func() error) error) {
	k, before, ms := 1+r.IntN(6), r.IntN(2) == 0, time.Duration(r.IntN(400))*time.Millisecond
	long, h, victim := time.Second+time.Duration(r.IntN(2000))*time.Millisecond, harms[r.IntN(recognizable)], r.IntN(1000)
	code, part := pick(r, []int32{http.StatusForbidden, http.StatusConflict, http.StatusNotFound}), pick(r, parts)
	switch r.IntN(24) {
	case 0, 1:
		return fmt.Sprintf("kill -9 after %s", ms), true, w.killSoon(ms)
	case 2, 3:
		return fmt.Sprintf("kill -9 at write %d, before it: %v", k, before), true, w.killAt(k, before)
	case 4:
		return "a storm of 409", false, w.refusing(2, 12, http.StatusConflict)
	case 5:
		return "a storm of 429", false, w.refusing(2, 6, http.StatusTooManyRequests)
	case 6:
		return "writes refused half-way", false, w.refusing(3, 12, http.StatusForbidden, http.StatusInternalServerError)
	case 7:
		return "answers lost", false, w.losing(2, 8, ms/10)
	case 8:
		return "watches cut", false, w.cutting(1+k, ms/4)
	case 9:
		return fmt.Sprintf("unplugged at write %d", k), false, w.unplugged(k, ms)
	case 10:
		return "kill -9 at every write", true, w.killAtEveryWrite(4)
	case 11, 12, 13:
		return fmt.Sprintf("a policy %s at write %d", h.name, k), false, w.tamperingAt(k, h, victim)
	case 14, 15:
		return fmt.Sprintf("a webhook refuses %s with %d for %s", part.name, code, long), false, w.refusingBy(code, part, long)
	case 16:
		return "a webhook hangs", false, w.hanging(int32(k), long) //nolint:gosec // at most 6
	case 17:
		return fmt.Sprintf("a webhook alters a label for %s, each time anew: %v", long, before), false, w.altering(before, long)
	case 18, 19:
		return fmt.Sprintf("a quota with room for %d, for %s", k%2, long), false, w.quota(int64(k%2), long)
	case 20:
		return fmt.Sprintf("kill -9, and slow lists at the start: %s", long), true, w.slowStart(long)
	case 21, 22:
		return fmt.Sprintf("nothing that a preflight looks for, for %s, and kill -9: %v", long, before), before, w.unadmitted(before, long)
	default:
		return "SIGTERM", true, func(_ context.Context, asked func() error) error {
			err := asked()
			for _, replica := range w.replicas {
				replica.signal(syscall.SIGTERM)
			}
			return err
		}
	}
}
