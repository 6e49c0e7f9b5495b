// Builds the image without a container engine. A module of its own: the registry library may not reach the operator's
// dependencies.
module github.com/netbaseline/netbaseline/hack/image

go 1.26.0

require (
	github.com/google/go-containerregistry v0.22.1 // indirect
	golang.org/x/crypto/x509roots/fallback v0.0.0-20261030153154-30a33513ff6d // indirect
)
