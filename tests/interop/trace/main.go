// SPDX-License-Identifier: MIT

// Program trace is the Go side of the interop test of traces: cmd-stream-go, with a command as otelcmd-stream-go wraps it,
// and the propagators of OpenTelemetry.
//
//	trace serve CODEC            prints a line for each command: its number and the context that it came with
//	trace send CODEC ADDRESS     sends one command of each kind, and prints the same of each
//	trace fail CODEC ADDRESS     sends commands that fail, and prints the error results that come; then one that does not
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	cmdstream "github.com/cmd-stream/cmd-stream-go"
	cln "github.com/cmd-stream/cmd-stream-go/client"
	"github.com/cmd-stream/cmd-stream-go/core"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

type receiver struct{}

// sumCmd is the command, traceCmd the same with a context.
type sumCmd struct{ A, B int64 }

type traceCmd struct {
	MapCarrier *map[string]string
	Cmd        sumCmd
}

type total struct{ Value int64 }

func (total) LastOne() bool { return true }

// oops is the protocol's error result: to Go a result as any other.
type oops struct {
	Code int64
	Text string
}

func (oops) LastOne() bool { return true }

func (c sumCmd) Exec(_ context.Context, seq core.Seq, _ time.Time, _ *receiver, proxy core.Proxy) error {
	if c.A < 0 {
		_, err := proxy.Send(seq, oops{c.A, "no such thing, " + strings.Repeat("\u00e9", int(c.B))})
		return err
	}
	fmt.Println("got", c.A, "plain")
	_, err := proxy.Send(seq, total{c.A + c.B})
	return err
}

func (c traceCmd) Exec(ctx context.Context, seq core.Seq, _ time.Time, _ *receiver, proxy core.Proxy) error {
	fmt.Println("got", c.Cmd.A, describe(c.MapCarrier))
	_, err := proxy.Send(seq, total{c.Cmd.A + c.Cmd.B})
	return err
}

// describe says what is in a carrier: ids, flags, state, baggage; and how many keys are nobody's.
func describe(carrier *map[string]string) string {
	if carrier == nil {
		return "none"
	}
	ctx := propagator.Extract(context.Background(), propagation.MapCarrier(*carrier))
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return "none"
	}
	others := 0
	for key := range *carrier {
		if key != "traceparent" && key != "tracestate" && key != "baggage" {
			others++
		}
	}
	return fmt.Sprintf("%s %s %s state=%s baggage=%s others=%d", span.TraceID(), span.SpanID(), span.TraceFlags(),
		span.TraceState(), baggage.FromContext(ctx), others)
}

func serve(codec string) error {
	format, err := formatOf(codec)
	if err != nil {
		return err
	}
	server, err := cmdstream.NewServer(&receiver{}, serverCodec{format})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() { _ = server.Serve(listener.(*net.TCPListener)) }()
	fmt.Println("listening on", listener.Addr())
	<-signals
	return server.Close()
}

// carriers are the contexts to send: sampled and not, with state and baggage, empty, none at all, with other keys.
func carriers() (all []*map[string]string) {
	add := func(flags trace.TraceFlags, state, pairs string) {
		ctx := context.Background()
		config := trace.SpanContextConfig{TraceFlags: flags, Remote: true}
		config.TraceID[0], config.TraceID[15] = 0x0a, byte(len(all)+1)
		config.SpanID[0], config.SpanID[7] = 0xb0, byte(len(all)+1)
		config.TraceState, _ = trace.ParseTraceState(state)
		ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(config))
		if pairs != "" {
			members, _ := baggage.Parse(pairs)
			ctx = baggage.ContextWithBaggage(ctx, members)
		}
		carrier := map[string]string{}
		propagator.Inject(ctx, propagation.MapCarrier(carrier))
		all = append(all, &carrier)
	}
	add(trace.FlagsSampled, "", "")
	add(0, "", "")
	add(trace.FlagsSampled, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "user=alice")
	add(0, "vendor@system=1", "path=%2Fa%20b")
	add(trace.FlagsSampled, "", strings.Repeat("k=v,", 60)+"last=1")
	(*all[0])["x-other"] = "nobody's"
	return append(all, &map[string]string{}, nil)
}

func send(codec, address string) error {
	format, err := formatOf(codec)
	if err != nil {
		return err
	}
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	client, err := cmdstream.NewClient[*receiver](clientCodec{format}, connection, cln.WithServerInfo([]byte("default")))
	if err != nil {
		return err
	}
	defer client.Close()
	results := make(chan core.AsyncResult, 1)
	for i, carrier := range append(carriers(), nil) {
		var cmd core.Cmd[*receiver] = traceCmd{carrier, sumCmd{int64(i), 100}}
		what := describe(carrier)
		if i == len(carriers()) {
			cmd, what = sumCmd{int64(i), 100}, "plain"
		}
		fmt.Println("sent", i, what)
		if _, _, err = client.Send(cmd, results); err != nil {
			return err
		}
		answer := <-results
		if answer.Error != nil {
			return answer.Error
		}
		if result, ok := answer.Result.(total); !ok || result.Value != int64(i)+100 {
			return fmt.Errorf("command %d was answered by %v", i, answer.Result)
		}
	}
	return nil
}

func fail(codec, address string) error {
	format, err := formatOf(codec)
	if err != nil {
		return err
	}
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	client, err := cmdstream.NewClient[*receiver](clientCodec{format}, connection, cln.WithServerInfo([]byte("default")))
	if err != nil {
		return err
	}
	defer client.Close()
	results := make(chan core.AsyncResult, 1)
	for _, cmd := range []sumCmd{{-1, 0}, {-70000, 3}, {-2, 80}, {1, 2}} {
		if _, _, err = client.Send(cmd, results); err != nil {
			return err
		}
		answer := <-results
		if answer.Error != nil {
			return answer.Error
		}
		switch result := answer.Result.(type) {
		case oops:
			fmt.Println("failed", result.Code, result.Text)
		case total:
			fmt.Println("answered", result.Value)
		}
	}
	return nil
}

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		err = serve(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "send":
		err = send(os.Args[2], os.Args[3])
	case len(os.Args) == 4 && os.Args[1] == "fail":
		err = fail(os.Args[2], os.Args[3])
	default:
		err = fmt.Errorf("usage: %s serve CODEC | send CODEC ADDRESS | fail CODEC ADDRESS", os.Args[0])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
