# The builder runs on the build machine's platform and cross-compiles: no emulation for multi-arch images.
FROM --platform=$BUILDPLATFORM golang:1.26 AS builder
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev

WORKDIR /src
# The modules are a layer of their own, downloaded again only when they change.
COPY go.mod go.sum ./
RUN go mod download
COPY main.go ./
COPY api/ api/
COPY controllers/ controllers/
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /netbaseline main.go

# Distroless: no shell, no package manager, and a user that is not root. `make image` builds the same without a container
# engine, in hack/image, and a test compares the two.
FROM gcr.io/distroless/static:nonroot
ARG VERSION=dev
LABEL org.opencontainers.image.title="netbaseline" \
      org.opencontainers.image.description="Keeps a network security baseline under every namespace of a Kubernetes cluster." \
      org.opencontainers.image.source="https://github.com/netbaseline/netbaseline" \
      org.opencontainers.image.documentation="https://github.com/netbaseline/netbaseline/tree/main/docs" \
      org.opencontainers.image.vendor="The netbaseline Authors" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=builder /netbaseline /netbaseline
USER 65532:65532
ENTRYPOINT ["/netbaseline"]
