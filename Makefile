# The release. config/manager/kustomization.yaml names the same version, and `make verify` compares the two.
VERSION ?= 0.1.0
# When the release was made: an input, so that whoever builds it again gets the same bundle and the same image.
CREATED ?= 2026-11-21T00:00:00Z
RELEASE_IMG = ghcr.io/netbaseline/netbaseline:v$(VERSION)
# What is built, pushed and deployed, when it isn't the release.
IMG ?= $(RELEASE_IMG)
PLATFORMS ?= linux/amd64,linux/arm64,linux/s390x,linux/ppc64le

# The versions of tools each have one place too, a module of their own: hack/tools (controller-gen, kustomize,
# setup-envtest), hack/lint (golangci-lint), hack/controlplane (Kubernetes and etcd), hack/api-docs (crd-ref-docs), hack/ci
# (actionlint, govulncheck). Go builds them when first used.
CONTROLLER_GEN = go tool -modfile=hack/tools/go.mod controller-gen
KUSTOMIZE = go tool -modfile=hack/tools/go.mod kustomize
CRD_REF_DOCS = go tool -modfile=hack/api-docs/go.mod crd-ref-docs
GOLANGCI_LINT = go tool -modfile=hack/lint/go.mod golangci-lint
KUBECTL ?= kubectl
CONTAINER_TOOL ?= docker

FUZZTIME ?= 30s

# The manifests with IMG in them: an edit of the output, so that deploying leaves no dirty tree.
MANIFESTS = $(KUSTOMIZE) build config/default | sed 's|image: $(RELEASE_IMG)$$|image: $(IMG)|'

SHELL = /usr/bin/env bash -o pipefail
.SHELLFLAGS = -ec
.DEFAULT_GOAL := help

##@ General

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*##"; printf "\nUsage:\n  make \033[36m<target>\033[0m\n"} \
	  /^[a-zA-Z_0-9-]+:.*##/ { printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2 } \
	  /^##@/ { printf "\n\033[1m%s\033[0m\n", substr($$0, 5) }' $(MAKEFILE_LIST)

##@ Development

.PHONY: demo
demo: ## See it work: a real control plane on loopback, the operator, an intruder. KEEP=1 leaves it running.
	@# Not `go run`, which doesn't hand a SIGTERM on to the program: the demo would outlive it.
	@assets=$$(hack/controlplane/assets.sh) && go build -o bin/demo ./hack/demo && \
	  KUBEBUILDER_ASSETS="$$assets" KEEP="$(KEEP)" exec bin/demo

.PHONY: test
test: ## Everything that CI runs: verify, vet, lint and all tests, with a summary.
	@MAKE="$(MAKE)" hack/test.sh

.PHONY: test-go
test-go: ## Only the Go tests, against a real API server. TESTFLAGS='-run X -v', say, or '-race' where cgo is.
	@assets=$$(hack/controlplane/assets.sh) && KUBEBUILDER_ASSETS="$$assets" go test -timeout 30m $(TESTFLAGS) ./...

# -count=1: Go's test cache does not see that the samples and docs/profile.md change, which lie outside of that module.
.PHONY: conformance
conformance: ## Ask two independent evaluators what the profile, the samples and random baselines allow.
	go -C hack/conformance mod tidy -diff
	go -C hack/conformance vet ./...
	go -C hack/conformance test -count=1 ./...

# -count=1: as above, for the Dockerfile and the operator's own code.
.PHONY: test-image
test-image: ## Build the image twice without a container engine, and look into it.
	go -C hack/image mod tidy -diff
	go -C hack/image vet ./...
	go -C hack/image test -count=1 ./...

# -count=1: Go's test cache does not see what kustomize and promtool read.
.PHONY: alerts
alerts: ## Let Prometheus' own tools judge the alerts and the dashboard. The first time builds promtool, which takes minutes.
	go -C hack/alerts mod tidy -diff
	go -C hack/alerts vet ./...
	go -C hack/alerts test -count=1 ./...

# Helm is built from source when first used, minutes on two cores; later Go has it.
.PHONY: install-paths
install-paths: ## Install in every way, each on a clean control plane; compare the chart; ask whether each right is needed.
	go -C hack/install mod tidy -diff
	go -C hack/install vet ./...
	@assets=$$(hack/controlplane/assets.sh) && KUBEBUILDER_ASSETS="$$assets" go -C hack/install test -count=1 ./...

# The operator runs as a process there: -count=1, because Go's test cache does not see its source.
.PHONY: gitops
gitops: ## Ask Argo CD, Flux, kstatus and kubectl what they make of the running operator. TESTFLAGS=-update records anew.
	go -C hack/gitops mod tidy -diff
	go -C hack/gitops vet ./...
	@assets=$$(hack/controlplane/assets.sh) && KUBEBUILDER_ASSETS="$$assets" go -C hack/gitops test -count=1 . $(TESTFLAGS)

.PHONY: test-chaos
test-chaos: CHAOS = -run .
test-chaos: export CHAOS_SECONDS ?= 600
test-chaos: export CHAOS_SEEDS ?= 1 2 3
test-chaos: chaos ## Kill, cut, refuse, tamper and restart, for CHAOS_SECONDS by each of CHAOS_SEEDS. A seed reproduces its actions and faults.

# What of it runs in every `make test`, in about a minute: without the leaders, whose leases take their time, and with
# fewer cases of each kind.
.PHONY: test-chaos-short
test-chaos-short: CHAOS = -short -run 'Judge|Killed.*Write|Faults|Tampered|Held|Words|Altered|Preflight|SlowStart|Random'
test-chaos-short: export CHAOS_SECONDS ?= 3
test-chaos-short: chaos

.PHONY: chaos
chaos:
	go -C hack/chaos mod tidy -diff
	go -C hack/chaos vet ./...
	@assets=$$(hack/controlplane/assets.sh) && KUBEBUILDER_ASSETS="$$assets" \
	  go -C hack/chaos test -count=1 -timeout 0 -v $(CHAOS) .

# The first time builds kube-router and agnhost, which takes minutes; later runs and other clones find them.
.PHONY: packets
packets: ## Probe each sample, and the promise of no gap, with real packets and kube-router: needs Linux and root. TESTFLAGS='-run X -v', say.
	@hack/packets/run.sh $(TESTFLAGS)

.PHONY: fuzz
fuzz: ## Fuzz each fuzz test for FUZZTIME.
	@hack/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## Measure the operator beside the API server's own limit; writes docs/benchmarks.md. NAMESPACES=10000 for the big run.
	@assets=$$(hack/controlplane/assets.sh) && go -C hack/bench build -o ../../bin/bench . && \
	  KUBEBUILDER_ASSETS="$$assets" exec bin/bench

.PHONY: verify
verify: ## Check that whatever is generated or formatted is up to date.
	@MAKE="$(MAKE)" hack/verify.sh $(RELEASE_IMG)

.PHONY: manifests
manifests: ## Generate the CRD, and the manager's ClusterRole and Role.
	$(CONTROLLER_GEN) rbac:roleName=manager-role crd paths=./api/... paths=./controllers/... paths=./ \
	  output:crd:artifacts:config=config/crd/bases output:rbac:artifacts:config=config/rbac

.PHONY: generate
generate: ## Generate the DeepCopy methods.
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths=./api/...

.PHONY: api-docs
api-docs: ## Generate docs/api.md, the reference of the API.
	$(CRD_REF_DOCS) --source-path=api --config=hack/api-docs/config.yaml --templates-dir=hack/api-docs/templates \
	  --renderer=markdown --output-path=docs/api.md --log-level=ERROR

.PHONY: fmt
fmt: ## Format the Go code.
	gofmt -l -w main.go api config controllers hack

.PHONY: vet
vet: ## Run go vet.
	go vet ./...

.PHONY: lint
lint: lint-tool ## Run golangci-lint.
	$(GOLANGCI_LINT) run --allow-parallel-runners

.PHONY: lint-fix
lint-fix: lint-tool ## Run golangci-lint and let it repair what it can.
	$(GOLANGCI_LINT) run --fix

.PHONY: lint-tool
lint-tool:
	@echo "golangci-lint: built from source when first used here, minutes on two cores; later seconds" >&2
	@go tool -n -modfile=hack/lint/go.mod golangci-lint >/dev/null

# What is wrong with the workflows would else be seen when they run: at a release, say.
.PHONY: test-workflows
test-workflows: ## Lint the GitHub workflows: actions pinned, least permissions, actionlint.
	go -C hack/ci mod tidy -diff
	go -C hack/ci vet ./...
	go -C hack/ci test -count=1 ./...

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what the operator calls. Asks vuln.go.dev, so it is no part of `make test`.
	go tool -modfile=hack/ci/go.mod govulncheck ./...

.PHONY: run
run: manifests generate ## Run the operator here, against the cluster of your kubeconfig (`make install` first). Creates netbaseline-system.
	@# It keeps the revisions of baselines there.
	$(KUBECTL) create namespace netbaseline-system --dry-run=client -o yaml | $(KUBECTL) apply -f -
	go run . $(ARGS)

##@ Build

.PHONY: build
build: ## Build bin/netbaseline.
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/netbaseline .

.PHONY: docker-build
docker-build: ## Build the image IMG.
	$(CONTAINER_TOOL) build --build-arg VERSION=$(VERSION) -t $(IMG) .

.PHONY: image
image: ## Build bin/netbaseline.oci.tar without a container engine: the image for linux/amd64 and linux/arm64, reproducible.
	@mkdir -p bin
	@go -C hack/image run . -reference=$(IMG) -version=$(VERSION) -created=$(CREATED) \
	  -revision="$$(git rev-parse HEAD 2>/dev/null || true)" -o ../../bin/netbaseline.oci.tar

.PHONY: docker-push
docker-push: ## Push the image IMG.
	$(CONTAINER_TOOL) push $(IMG)

.PHONY: docker-buildx
docker-buildx: ## Build and push the image IMG for PLATFORMS.
	$(CONTAINER_TOOL) buildx build --push --platform=$(PLATFORMS) --build-arg VERSION=$(VERSION) -t $(IMG) .

.PHONY: build-installer
build-installer: ## Generate dist/install.yaml: all that `make deploy` applies, in one file.
	@mkdir -p dist
	$(MANIFESTS) > dist/install.yaml

.PHONY: bundle
bundle: ## Generate the OLM bundle from config/manifests, and check it by OLM's rules.
	$(KUSTOMIZE) build config/manifests | sed 's|image: $(RELEASE_IMG)$$|image: $(IMG)|' | \
	  go run ./hack/bundle -version=$(VERSION) -created=$(CREATED) -platforms=$(PLATFORMS) -icon=docs/logo.svg -o bundle

.PHONY: chart
chart: ## Generate what the Helm chart in dist/chart takes over from config/.
	go run ./hack/chart -version $(VERSION) -kustomize "$(KUSTOMIZE)"

##@ Deployment

# Deleting the CRD deletes the baselines, so they go first: while the operator is still there to take its policies
# away in order, and the finalizers off.
define delete-baselines
@if $(KUBECTL) get crd networkbaselines.netbaseline.io >/dev/null 2>&1; then \
  $(KUBECTL) delete networkbaselines.netbaseline.io --all --timeout=60s; fi
endef

.PHONY: install
install: ## Install the CRD into the cluster of your kubeconfig.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) apply -f -

.PHONY: uninstall
uninstall: ## Delete the CRD and with it every baseline. The operator should be running, to clean up.
	$(delete-baselines)
	$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: deploy
deploy: ## Deploy the CRD and the operator (image IMG) into the cluster of your kubeconfig.
	$(MANIFESTS) | $(KUBECTL) apply -f -

.PHONY: undeploy
undeploy: ## Delete every baseline, the operator and the CRD.
	$(delete-baselines)
	$(MANIFESTS) | $(KUBECTL) delete --ignore-not-found -f -
