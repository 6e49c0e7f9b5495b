// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

// auditPolicy logs every request once, and a watch when it starts.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

// right is one thing that a role allows. A right that two roles allow is two: the API server says which it used.
type right struct {
	role, group, resource, verb string
}

func (r right) String() string {
	return fmt.Sprintf("%s %s in the group %q (%s)", r.verb, r.resource, r.group, r.role)
}

func sorted(rights map[right]bool) []right {
	return slices.SortedFunc(maps.Keys(rights), func(a, b right) int { return cmp.Compare(a.String(), b.String()) })
}

// auditEvent is what is read of an audit.k8s.io/v1 Event.
type auditEvent struct {
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code    int32  `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
	Annotations map[string]string `json:"annotations"`
}

// allowedBy finds the role in the authorizer's reason: RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to …
var allowedBy = regexp.MustCompile(` of (Role|ClusterRole) "([^"]+)" to `)

// readAudit returns which rights the user used, and what was refused to it.
func readAudit(t *testing.T, file, user string) (used map[right]bool, refused []string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	used = map[right]bool{}
	for line := range strings.Lines(string(data)) {
		var e auditEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if e.User.Username != user {
			continue
		}
		if e.ResponseStatus.Code == http.StatusForbidden {
			refused = append(refused, e.Verb+" "+e.RequestURI+": "+e.ResponseStatus.Message)
		}
		by := allowedBy.FindStringSubmatch(e.Annotations["authorization.k8s.io/reason"])
		if by == nil || e.ObjectRef.Resource == "" {
			continue // discovery, say, which every user may
		}
		resource := e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			resource += "/" + e.ObjectRef.Subresource
		}
		used[right{by[1] + " " + by[2], e.ObjectRef.APIGroup, resource, e.Verb}] = true
	}
	slices.Sort(refused)
	return used, slices.Compact(refused)
}

// granted are the rights that bindings give to the ServiceAccount, by its name.
func (c *cluster) granted(t *testing.T, namespace, account string) map[right]bool {
	t.Helper()
	var bindings rbacv1.ClusterRoleBindingList
	var local rbacv1.RoleBindingList
	for _, err := range []error{c.client.List(t.Context(), &bindings), c.client.List(t.Context(), &local)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	rights := map[right]bool{}
	ours := func(s rbacv1.Subject) bool {
		return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == namespace && s.Name == account
	}
	for i := range bindings.Items {
		if b := &bindings.Items[i]; slices.ContainsFunc(b.Subjects, ours) {
			maps.Copy(rights, c.rightsOf(t, "", b.RoleRef))
		}
	}
	for i := range local.Items {
		if b := &local.Items[i]; slices.ContainsFunc(b.Subjects, ours) {
			maps.Copy(rights, c.rightsOf(t, b.Namespace, b.RoleRef))
		}
	}
	return rights
}

func (c *cluster) rightsOf(t *testing.T, namespace string, ref rbacv1.RoleRef) map[right]bool {
	t.Helper()
	args := []string{"get", strings.ToLower(ref.Kind), ref.Name, "-o", "jsonpath={.rules}"}
	if ref.Kind == "Role" {
		args = append(args, "-n", namespace)
	}
	var rules []rbacv1.PolicyRule
	if err := json.Unmarshal([]byte(c.kubectl(t, args...)), &rules); err != nil {
		t.Fatal(err)
	}
	rights := map[right]bool{}
	for i := range rules {
		rule := &rules[i]
		if len(rule.NonResourceURLs)+len(rule.ResourceNames) > 0 {
			t.Errorf("%s %s has a rule that this test cannot read: %v", ref.Kind, ref.Name, rule)
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					rights[right{ref.Kind + " " + ref.Name, group, resource, verb}] = true
				}
			}
		}
	}
	return rights
}
