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
	"github.com/cmd-stream/cmd-stream-go/core"
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
)

// New makes both sides' codec of this name.
func New(name string) (client, server, error) {
	switch name {
	case "msgpack":
		return newMsgpack()
	case "msgpack-map":
		return newMsgpack(msgpack.WithMaps())
	case "json":
		c, s := newFramed(jsonFormat{})
		return c, s, nil
	case "protobuf":
		c, s := newFramed(protobufFormat{})
		return c, s, nil
	case "mus":
		return musClient{}, musServer{}, nil
	}
	return nil, nil, fmt.Errorf("no codec %q; there are %v", name, Names)
}

func newMsgpack(opts ...msgpack.Option) (client, server, error) {
	c, err := msgpack.NewClientCodec(testproto.Commands, testproto.Results, opts...)
	if err != nil {
		return nil, nil, err
	}
	s, err := msgpack.NewServerCodec(testproto.Commands, testproto.Results, opts...)
	return c, s, err
}

func commandNumber(cmd core.Cmd[*testproto.Receiver]) (int, error) {
	switch cmd.(type) {
	case testproto.EchoCmd:
		return 0, nil
	case testproto.StreamCmd:
		return 1, nil
	case testproto.SleepCmd:
		return 2, nil
	case testproto.FailCmd:
		return 3, nil
	case testproto.WorkCmd:
		return 4, nil
	}
	return 0, fmt.Errorf("%w: %T", errUnknownType, cmd)
}

func resultNumber(result core.Result) (int, error) {
	switch result.(type) {
	case testproto.EchoResult:
		return 0, nil
	case testproto.ItemResult:
		return 1, nil
	}
	return 0, fmt.Errorf("%w: %T", errUnknownType, result)
}

type (
	writer = tspt.Writer
	reader = tspt.Reader
)
