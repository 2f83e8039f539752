// SPDX-License-Identifier: MIT

// Package codecs has the codecs of the test protocol, on cmd-stream-go's codec interface, by the names that the tools of
// this repository give them.
package codecs

import (
	"errors"
	"fmt"

	msgpack "cmdstream/codecs/msgpack/go"
	"cmdstream/perf/go/testproto"

	cln "github.com/cmd-stream/cmd-stream-go/client"
	srv "github.com/cmd-stream/cmd-stream-go/server"
	tspt "github.com/cmd-stream/cmd-stream-go/transport"
)

// MaxLen bounds what one length on the wire may say: 16 MiB, as the C library does by default.
const MaxLen = 16 << 20

// Names of all codecs.
var Names = []string{"msgpack", "msgpack-map", "json", "protobuf", "mus"}

var (
	errTooLarge    = errors.New("codec: the value is longer than the limit")
	errUnknownType = errors.New("codec: no such type")
)

type (
	client = cln.Codec[*testproto.Receiver]
	server = srv.Codec[*testproto.Receiver]
	writer = tspt.Writer
	reader = tspt.Reader
)

// New makes both sides' codec of this name.
func New(name string) (client, server, error) {
	switch name {
	case "msgpack":
		return newMsgpack()
	case "msgpack-map":
		return newMsgpack(msgpack.WithMaps())
	case "json":
		return framedClient[*testproto.Receiver]{&jsonFormat}, framedServer[*testproto.Receiver]{&jsonFormat}, nil
	case "protobuf":
		return framedClient[*testproto.Receiver]{&protobufFormat}, framedServer[*testproto.Receiver]{&protobufFormat}, nil
	case "mus":
		return musClient{}, musServer{}, nil
	}
	return nil, nil, fmt.Errorf("no codec %q; there are %v", name, Names)
}

// BodySize tells how many bytes of a result's frame are its body, as the C library counts it: what stands behind the
// type, or behind the length where there is one. A frame of n bytes begins with this sequence number.
func BodySize(name string, sequence uint64, n int) int {
	const typeSize = 1 // All numbers of the test protocol are below 128.
	rest := n - varintSize(sequence) - typeSize
	if name == "mus" {
		return rest
	}
	for size := 1; size < rest; size++ {
		if varintSize(uint64(rest-size)) <= size {
			return rest - size
		}
	}
	return 0
}

func varintSize(value uint64) (size int) {
	for size = 1; value >= 0x80; size++ {
		value >>= 7
	}
	return
}

func newMsgpack(opts ...msgpack.Option) (client, server, error) {
	c, err := msgpack.NewClientCodec(testproto.Commands, testproto.Results, opts...)
	if err != nil {
		return nil, nil, err
	}
	s, err := msgpack.NewServerCodec(testproto.Commands, testproto.Results, opts...)
	return c, s, err
}
