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

# Distroless: no shell, no package manager, and a user that is not root.
FROM gcr.io/distroless/static:nonroot
COPY --from=builder /netbaseline /netbaseline
USER 65532:65532
ENTRYPOINT ["/netbaseline"]
