// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// netbaseline keeps a network security baseline under every namespace of a Kubernetes cluster.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // exec plugins and the like, for running outside a cluster
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/controllers/cli"
	"github.com/netbaseline/netbaseline/controllers/cli/expect"
	"github.com/netbaseline/netbaseline/controllers/cli/explain"
	"github.com/netbaseline/netbaseline/controllers/cli/impactcmd"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/verify"
)

// version is set by the build.
var version = "dev"

type flags struct {
	metricsAddress string
	metricsSecure  bool
	probeAddress   string
	pprofAddress   string
	leaderElect    bool
	leaderElectIn  string
	namespace      string
	protected      string
	workers        int
	log            zap.Options
}

func main() { os.Exit(run(ctrl.SetupSignalHandler(), os.Args[1:])) }

// run returns the exit code. Without a command it is the manager, whose flags are the first arguments then.
func run(ctx context.Context, args []string) int {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return runManager(ctx, args)
	}
	switch command, rest := args[0], args[1:]; command {
	case "manager":
		return runManager(ctx, rest)
	case "render":
		return cli.Run(ctx, rest, os.Stdin, os.Stdout, os.Stderr)
	case "explain":
		return explain.Run(ctx, rest, os.Stdin, os.Stdout, os.Stderr)
	case "test":
		return expect.Run(ctx, rest, os.Stdin, os.Stdout, os.Stderr)
	case "verify":
		return verify.Run(ctx, rest, os.Stdin, os.Stdout, os.Stderr)
	case "impact":
		return impactcmd.Run(ctx, rest, os.Stdin, os.Stdout, os.Stderr)
	default:
		_, _ = fmt.Fprintf(os.Stderr, "unknown command %q: write manager, which is the default, render, explain, test, impact or verify\n", command)
		return 2
	}
}

// runManager returns the exit code: 0 when asked to stop, 1 for a failure, 2 for bad arguments.
func runManager(ctx context.Context, args []string) int {
	f, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2 // the flag package has said why
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&f.log)))
	if err := manage(ctx, f); err != nil {
		ctrl.Log.Error(err, "Stopped")
		return 1
	}
	return 0
}

func parse(args []string) (*flags, error) {
	f := &flags{}
	set := flag.NewFlagSet("netbaseline", flag.ContinueOnError)
	set.StringVar(&f.metricsAddress, "metrics-bind-address", "0", "Address of the metrics endpoint, :8443 say; 0 disables it.")
	set.BoolVar(&f.metricsSecure, "metrics-secure", true, "Serve metrics over https, to whoever may get the nonResourceURL /metrics.")
	set.StringVar(&f.probeAddress, "health-probe-bind-address", "0", "Address of /healthz and /readyz, :8081 say; 0 disables them.")
	set.StringVar(&f.pprofAddress, "pprof-bind-address", "0", "Address of the profiler, 127.0.0.1:6060 say; 0 disables it.")
	set.BoolVar(&f.leaderElect, "leader-elect", false, "Let one replica at a time do the work.")
	set.StringVar(&f.leaderElectIn, "leader-election-namespace", "", "Namespace of the replicas' Lease; in a cluster it is their own.")
	set.StringVar(&f.namespace, "operator-namespace", cmp.Or(os.Getenv("POD_NAMESPACE"), cli.OperatorNamespace),
		"The operator's own namespace, which keeps the revisions of baselines and is always protected. The default is POD_NAMESPACE, if set.")
	set.StringVar(&f.protected, "protected-namespaces", strings.Join(policy.DefaultProtection, ","),
		"Namespaces, or patterns such as openshift-*, that a baseline governs only when it names them in includedProtectedNamespaces. The operator's own is always among them.")
	set.IntVar(&f.workers, "workers", 8, "Number of namespaces that converge at the same time.")
	set.String("kubeconfig", "", "Path of a kubeconfig; in a cluster it is not needed.")
	f.log.BindFlags(set)
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q: a command (manager, render, explain, test, impact, verify) comes first, then its flags", set.Arg(0))
		_, _ = fmt.Fprintln(set.Output(), err)
		return nil, err
	}
	if f.workers < 1 {
		err := fmt.Errorf("-workers is %d: it must be at least 1", f.workers)
		_, _ = fmt.Fprintln(set.Output(), err)
		return nil, err
	}
	// controller-runtime reads the kubeconfig from the global flag that it registers.
	return f, flag.Set("kubeconfig", set.Lookup("kubeconfig").Value.String())
}

func manage(ctx context.Context, f *flags) error {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("building the scheme: %w", err)
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	// API priority and fairness limits us, and knows better what else goes on.
	config.QPS = -1
	// Since 1.37 (WatchListCompression) the API server compresses each event for each watcher alone. Its own components
	// don't ask for it either.
	config.DisableCompression = true

	graceful := 5 * time.Second
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Cache:                         controllers.CacheOptions(f.namespace),
		Metrics:                       metricsOptions(f),
		HealthProbeBindAddress:        f.probeAddress,
		PprofBindAddress:              f.pprofAddress,
		LeaderElection:                f.leaderElect,
		LeaderElectionNamespace:       f.leaderElectIn,
		LeaderElectionID:              "netbaseline.io",
		LeaderElectionReleaseOnCancel: true, // main returns right after Start
		GracefulShutdownTimeout:       &graceful,
	})
	if err != nil {
		return fmt.Errorf("building the manager: %w", err)
	}
	if err := controllers.SetupWithManager(ctx, mgr, controllers.Options{Namespace: f.namespace, Protection: policy.ParseProtection(f.protected), Workers: f.workers, Version: version}); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding probes: %w", err)
	}
	ctrl.Log.Info("Starting", "version", version)
	return mgr.Start(ctx)
}

func metricsOptions(f *flags) metricsserver.Options {
	o := metricsserver.Options{BindAddress: f.metricsAddress, SecureServing: f.metricsSecure}
	if f.metricsSecure {
		o.FilterProvider = filters.WithAuthenticationAndAuthorization
		// HTTP/2 stays off: CVE-2023-44487, CVE-2023-39325.
		o.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}
	}
	return o
}
