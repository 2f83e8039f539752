// SPDX-License-Identifier: MIT

package msgpack_test

import (
	"context"
	"fmt"
	"net"
	"time"

	msgpack "cmdstream/codecs/msgpack/go"

	cmdstream "github.com/cmd-stream/cmd-stream-go"
	"github.com/cmd-stream/cmd-stream-go/core"
)

// What the commands are executed on.
type calculator struct{}

type Add struct{ A, B int64 }

func (c Add) Exec(_ context.Context, seq core.Seq, _ time.Time, _ calculator, proxy core.Proxy) error {
	_, err := proxy.Send(seq, Value{c.A + c.B})
	return err
}

type Value struct{ Value int64 }

func (Value) LastOne() bool { return true }

// A server and a client with the same two lists. Either could be a program in C with the schemas of the README.
func Example() {
	commands, results := []core.Cmd[calculator]{Add{}}, []core.Result{Value{}}
	serverCodec, err := msgpack.NewServerCodec(commands, results)
	if err != nil {
		panic(err)
	}
	clientCodec, err := msgpack.NewClientCodec(commands, results)
	if err != nil {
		panic(err)
	}
	server, err := cmdstream.NewServer(calculator{}, serverCodec)
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = server.Serve(listener.(*net.TCPListener)) }()
	defer func() { _ = server.Close() }()

	sender, err := cmdstream.NewSender(listener.Addr().String(), clientCodec)
	if err != nil {
		panic(err)
	}
	defer func() { _ = sender.Close() }()
	result, err := sender.Send(context.Background(), Add{2, 3})
	fmt.Println(result, err)
	// Output: {5} <nil>
}
