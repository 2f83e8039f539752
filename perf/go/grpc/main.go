// SPDX-License-Identifier: MIT

// The echo, sleep and stream of the test protocol on gRPC-Go: another peer of the same load.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cmdstream/perf/go/grpc/servicepb"
	"cmdstream/perf/go/load"
	"cmdstream/perf/go/own"
	"cmdstream/perf/go/pb"
	"cmdstream/perf/go/testproto"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	sizeMax     = 16 << 20
	connectTime = 5 * time.Second
)

type service struct {
	servicepb.UnimplementedTestServer
	items testproto.Items
}

func (*service) Echo(_ context.Context, c *pb.CommandEcho) (*pb.ResultEcho, error) {
	return &pb.ResultEcho{Bool: c.Bool, Int64: c.Int64, String_: c.String_, Float64: c.Float64}, nil
}

func (*service) Sleep(ctx context.Context, c *pb.CommandSleep) (*pb.ResultEcho, error) {
	timer := time.NewTimer(time.Duration(c.Ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return &pb.ResultEcho{Bool: c.Bool, Int64: c.Int64, String_: c.String_, Float64: c.Float64}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *service) Stream(c *pb.CommandStream, out grpc.ServerStreamingServer[pb.ResultItem]) error {
	data, err := s.items.Data(c.Size)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if c.Count <= 0 {
		return out.Send(&pb.ResultItem{Index: -1, Last: true, Data: data})
	}
	for i := int64(0); i < c.Count; i++ {
		if err := out.Send(&pb.ResultItem{Index: i, Last: i == c.Count-1, Data: data}); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) > 1 {
		set := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
		switch os.Args[1] {
		case "serve":
			os.Exit(serve(set, os.Args[2:]))
		case "bench":
			os.Exit(bench(set, os.Args[2:]))
		}
	}
	fmt.Fprintln(os.Stderr, "Usage: cmdstream-grpc serve|bench [OPTIONS]")
	os.Exit(2)
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "cmdstream-grpc:", err)
	return 1
}

func serve(set *flag.FlagSet, arguments []string) int {
	listen := set.String("listen", "127.0.0.1:9001", "HOST:PORT; port 0: any")
	bufferSize := set.Int("buffer-size", 0, "bytes of the reader's and the writer's buffers; 0: the library's default")
	_ = set.Parse(arguments)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return complain(err)
	}
	server := grpc.NewServer(serverOptions(*bufferSize)...)
	servicepb.RegisterTestServer(server, &service{items: testproto.Items{SizeMax: sizeMax / 2}})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() { <-signals; server.Stop() }()
	fmt.Printf("listening on %s (gRPC-Go %s)\n", listener.Addr(), grpc.Version)
	if err = server.Serve(listener); err != nil {
		return complain(err)
	}
	return 0
}

// What measured best. Of the other options that promise speed - windows of 1 MiB, static methods, no retries, no service
// config, more workers - none did anything that could be told from chance.
func serverOptions(bufferSize int) []grpc.ServerOption {
	const workers = 16 // Goroutines that keep their stacks from one command to the next.
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(sizeMax), grpc.NumStreamWorkers(workers), grpc.SharedWriteBuffer(true)}
	if bufferSize > 0 {
		options = append(options, grpc.ReadBufferSize(bufferSize), grpc.WriteBufferSize(bufferSize))
	}
	return options
}

func dialOptions(bufferSize int) []grpc.DialOption {
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithSharedWriteBuffer(true),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(sizeMax))}
	if bufferSize > 0 {
		options = append(options, grpc.WithReadBufferSize(bufferSize), grpc.WithWriteBufferSize(bufferSize))
	}
	return options
}

func bench(set *flag.FlagSet, arguments []string) int {
	var o load.Options
	o.Define(set, "echo", "stream", "sleep")
	_ = set.Parse(arguments)
	if err := o.Check(set); err != nil {
		complain(err)
		return 2
	}
	o.Codec = "protobuf"
	if o.Connect == "" {
		server, err := own.Start("serve", "--listen", "127.0.0.1:0", "--buffer-size", fmt.Sprint(o.BufferSize))
		if err != nil {
			return complain(err)
		}
		defer server.Stop()
		o.Connect, o.ServerPid = server.Address, server.Pid
	}
	good, err := load.Bench(&o, load.Peer{Name: "gRPC-Go v" + grpc.Version, Dial: func() (load.Conn, error) { return dial(&o) }})
	if err != nil {
		return complain(err)
	}
	if !good {
		return 1
	}
	return 0
}

// conn is a channel of its own, and so a connection of its own.
type conn struct {
	channel *grpc.ClientConn
	client  servicepb.TestClient
}

func dial(o *load.Options) (load.Conn, error) {
	channel, err := grpc.NewClient("passthrough:///"+o.Connect, dialOptions(o.BufferSize)...)
	if err != nil {
		return nil, err
	}
	if err = connect(channel); err != nil {
		_ = channel.Close()
		return nil, err
	}
	return conn{channel, servicepb.NewTestClient(channel)}, nil
}

// Else the first command would, and its latency would tell.
func connect(channel *grpc.ClientConn) error {
	limit, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	channel.Connect()
	for state := channel.GetState(); state != connectivity.Ready; state = channel.GetState() {
		if !channel.WaitForStateChange(limit, state) {
			return fmt.Errorf("no connection after %v: %v", connectTime, state)
		}
	}
	return nil
}

func (c conn) Close() error    { return c.channel.Close() }
func (c conn) Lane() load.Lane { return c }

func echoOf(r *pb.ResultEcho, err error) (testproto.EchoResult, int, error) {
	if err != nil {
		return testproto.EchoResult{}, 0, err
	}
	return testproto.EchoResult{Bool: r.Bool, Int64: r.Int64, String: r.String_, Float64: r.Float64}, proto.Size(r), nil
}

func (c conn) Echo(e testproto.EchoCmd) (testproto.EchoResult, int, error) {
	return echoOf(c.client.Echo(context.Background(),
		&pb.CommandEcho{Bool: e.Bool, Int64: e.Int64, String_: e.String, Float64: e.Float64}))
}

func (c conn) Sleep(s testproto.SleepCmd) (testproto.EchoResult, int, error) {
	return echoOf(c.client.Sleep(context.Background(),
		&pb.CommandSleep{Ms: s.Ms, Bool: s.Bool, Int64: s.Int64, String_: s.String, Float64: s.Float64}))
}

func (c conn) Work(testproto.WorkCmd) (testproto.EchoResult, int, error) {
	return testproto.EchoResult{}, 0, errors.New("not in this service")
}

func (c conn) Stream(s testproto.StreamCmd, take func(testproto.ItemResult, int)) error {
	stream, err := c.client.Stream(context.Background(), &pb.CommandStream{Count: s.Count, Size: s.Size})
	if err != nil {
		return err
	}
	for {
		item, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		take(testproto.ItemResult{Index: item.Index, Last: item.Last, Data: item.Data}, proto.Size(item))
	}
}
