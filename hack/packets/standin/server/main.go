// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Server is the image "standin" of pods: it answers on the ports that its arguments name, such as TCP/80 and UDP/53.
package main

import (
	"fmt"
	"os"

	"github.com/netbaseline/netbaseline/hack/packets/standin"
)

func main() {
	for _, arg := range os.Args[1:] {
		port, err := standin.ParsePort(arg)
		if err == nil {
			_, err = standin.Listen("", port)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Println("listening")
	select {}
}
