// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package input

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/netbaseline/netbaseline/controllers/connectivity"
)

// Exit codes of explain, test and impact.
const (
	// ExitOK: allowed; all expectations hold; nothing would be cut.
	ExitOK = 0
	// ExitNo: denied, or not certain; an expectation fails; something would be cut.
	ExitNo = 1
	// ExitBadInput: bad arguments, a file that is wrong, or a cluster that cannot be read.
	ExitBadInput = 2
)

// Options are the flags that the commands have in common.
type Options struct {
	Files               []string
	Kubeconfig, Context string
	Namespace           string
	Network             connectivity.Network
	Protected           []string
	Output              string
	outputs             []string
}

// NewOptions registers the common flags. The first of the outputs is the default.
func NewOptions(set *flag.FlagSet, outputs ...string) *Options {
	o := &Options{Network: connectivity.ByAddress, Protected: DefaultProtection(), Output: outputs[0], outputs: outputs}
	set.Func("f", "`FILE` with NetworkBaselines, NetworkPolicies, Namespaces, Pods, workloads, Nodes, Services, as YAML or JSON; - for standard input. May be repeated.", func(text string) error {
		o.Files = append(o.Files, text)
		return nil
	})
	set.StringVar(&o.Kubeconfig, "kubeconfig", "", "`FILE` with which to read a cluster, beside the files. Without -f, the default is that of kubectl.")
	set.StringVar(&o.Context, "context", "", "`NAME` of the kubeconfig's context to use.")
	set.StringVar(&o.Namespace, "n", "", "`NAMESPACE` of what is named without one; default: that of the context, or default.")
	set.StringVar(&o.Namespace, "namespace", "", "Same as -n.")
	set.Func("network", "How the network reads an ipBlock: `calico` (it matches pods by address; also Antrea, kube-router, kindnet, AWS) or cilium (it matches no pod and no node). Default: calico.", func(text string) error {
		o.Network = connectivity.Network(text)
		if o.Network != connectivity.ByAddress && o.Network != connectivity.ByIdentity {
			return errors.New("write calico or cilium")
		}
		return nil
	})
	set.Func("protected-namespaces", "`NAMES` and patterns that no baseline governs by its selector alone, as the operator has them with its own namespace. Default: "+protectionText(), func(text string) (err error) {
		o.Protected, err = ParseProtection(text)
		return err
	})
	set.Func("o", "Output `FORMAT`: "+strings.Join(outputs, ", ")+". Default: "+outputs[0]+".", func(text string) error {
		o.Output = text
		if !slices.Contains(outputs, text) {
			return fmt.Errorf("write one of %s", strings.Join(outputs, ", "))
		}
		return nil
	})
	return o
}

// Parse parses flags and arguments in any order, as kubectl does, and returns the arguments.
func Parse(set *flag.FlagSet, args []string) ([]string, error) {
	var positional []string
	for {
		if err := set.Parse(args); err != nil {
			return nil, err
		}
		if set.NArg() == 0 {
			return positional, nil
		}
		positional, args = append(positional, set.Arg(0)), set.Args()[1:]
	}
}

// Fail writes an error, each of its lines marked as one, and returns ExitBadInput.
func Fail(stderr io.Writer, err error) int {
	_, _ = fmt.Fprintf(stderr, "error: %s\n", strings.ReplaceAll(err.Error(), "\n", "\nerror: "))
	return ExitBadInput
}

// Help prints the usage of a command.
func Help(out io.Writer, usage string, set *flag.FlagSet) int {
	_, _ = fmt.Fprint(out, usage)
	set.SetOutput(out)
	set.PrintDefaults()
	return ExitOK
}

// UsesCluster reports whether a cluster is to be read: if a flag says so, or if there are no files.
func (o *Options) UsesCluster() bool {
	return o.Kubeconfig != "" || o.Context != "" || len(o.Files) == 0
}

// Read reads the files and the cluster.
func (o *Options) Read(ctx context.Context, stdin io.Reader, scope *Scope) (*Snapshot, error) {
	s := &Snapshot{}
	if o.UsesCluster() {
		c, err := o.connect()
		if err != nil {
			return nil, err
		}
		if err := c.read(ctx, s, scope, o.Namespace); err != nil {
			return nil, err
		}
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if err := s.ReadFiles(ctx, o.Files, o.Namespace, stdin); err != nil {
		return nil, err
	}
	s.addMissingNamespaces()
	return s, nil
}

// addMissingNamespaces adds the namespaces of pods and policies in files that hold no Namespace. They have no labels
// but their name.
func (s *Snapshot) addMissingNamespaces() {
	var missing []string
	add := func(namespace string) {
		if _, known := s.namespaces[namespace]; !known && namespace != "" {
			s.addNamespace(namespace, nil)
			missing = append(missing, namespace)
		}
	}
	for i := range s.pods {
		add(s.pods[i].Namespace)
	}
	for _, t := range s.templates {
		add(t.namespace)
	}
	for namespace := range s.Policies {
		add(namespace)
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		s.Notes = append(s.Notes, fmt.Sprintf("no Namespace object for %s: taken to have no labels but the name", strings.Join(missing, ", ")))
	}
}

// Scope is what to read of a cluster; nil is everything.
type Scope struct {
	// Namespaces by name; "" is that of -n or of the context.
	Namespaces []string
	// Addresses whose pods are looked for in every namespace.
	Addresses []netip.Addr
}
