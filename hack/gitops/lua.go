// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// luaPatience is how long Argo CD lets a script run.
const luaPatience = time.Second

// healthScript is a health script in Lua, run as Argo CD runs those of argocd-cm: with the libraries base, package and
// table, and of os what is harmless. There is no string library.
type healthScript string

// GetResourceHealth judges a NetworkBaseline, and leaves everything else to the sync engine. It is an error when the
// script fails or returns anything but a health that Argo CD knows.
func (s healthScript) GetResourceHealth(o *unstructured.Unstructured) (*health.HealthStatus, error) {
	if gvk := o.GroupVersionKind(); gvk.Group != "netbaseline.io" || gvk.Kind != "NetworkBaseline" {
		return nil, nil
	}
	return s.run(o.Object)
}

func (s healthScript) run(object map[string]any) (*health.HealthStatus, error) {
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), luaPatience)
	defer cancel()
	l.SetContext(ctx)
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}, {lua.OsLibName, openSafeOS},
	} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(library.open), Protect: true}, lua.LString(library.name)); err != nil {
			return nil, fmt.Errorf("opening library %q: %w", library.name, err)
		}
	}
	l.SetGlobal("obj", toLua(l, object))
	if err := l.DoString(string(s)); err != nil {
		return nil, err
	}
	result, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("the script returned a %s, want a table", l.Get(-1).Type())
	}
	out := &health.HealthStatus{
		Status:  health.HealthStatusCode(lua.LVAsString(result.RawGetString("status"))),
		Message: lua.LVAsString(result.RawGetString("message")),
	}
	known := []health.HealthStatusCode{health.HealthStatusHealthy, health.HealthStatusSuspended, health.HealthStatusProgressing, health.HealthStatusDegraded}
	if !slices.Contains(known, out.Status) {
		return nil, fmt.Errorf("the script returned status %q, want one of %q", out.Status, known)
	}
	return out, nil
}

// openSafeOS opens of the library os the clock alone.
func openSafeOS(l *lua.LState) int {
	results := lua.OpenOs(l)
	table := l.CheckTable(-1)
	var unsafe []string
	table.ForEach(func(key, _ lua.LValue) {
		if name := lua.LVAsString(key); name != "time" && name != "date" {
			unsafe = append(unsafe, name)
		}
	})
	for _, name := range unsafe {
		table.RawSetString(name, lua.LNil)
	}
	return results
}

// toLua is a value of an unstructured object in Lua: numbers are floats there, lists begin at 1.
func toLua(l *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		table := l.NewTable()
		for _, item := range v {
			table.Append(toLua(l, item))
		}
		return table
	case map[string]any:
		table := l.NewTable()
		for key, item := range v {
			table.RawSetString(key, toLua(l, item))
		}
		return table
	}
	return lua.LNil
}
