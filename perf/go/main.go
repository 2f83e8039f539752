// SPDX-License-Identifier: MIT

// The test protocol on cmd-stream-go: a server of it, the load of `cmdstream bench`, and a client that checks a server of
// either language. What is compared with the C library, and what it is tested against.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"cmdstream/perf/go/codecs"
	"cmdstream/perf/go/load"
	"cmdstream/perf/go/own"
)

const (
	exitFailed = 1
	exitUsage  = 2
	usage      = `Usage: cmdstream-go serve|bench|check|stress [OPTIONS]

  serve   serves the test protocol, and prints "listening on ADDRESS (...)" when it is ready
  bench   commands/s, latencies, CPU time; the options and the JSON object of "cmdstream bench"
  check   sends the whole test protocol to a server and says what went wrong
  stress  one side of "cmdstream stress": a server that restarts, or clients that check every result
`
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(exitUsage)
	}
	set := flag.NewFlagSet(os.Args[1], flag.ExitOnError) // Exits with 2.
	switch os.Args[1] {
	case "serve":
		os.Exit(serve(set, os.Args[2:]))
	case "bench":
		os.Exit(bench(set, os.Args[2:]))
	case "check":
		os.Exit(check(set, os.Args[2:]))
	case "stress":
		os.Exit(stressTest(set, os.Args[2:]))
	}
	fmt.Fprint(os.Stderr, usage)
	os.Exit(exitUsage)
}

func complain(what string, err error) int {
	fmt.Fprintf(os.Stderr, "cmdstream-go %s: %v\n", what, err)
	return exitFailed
}

func bench(set *flag.FlagSet, arguments []string) int {
	var o load.Options
	o.Define(set, "echo", "stream", "sleep", "work")
	set.StringVar(&o.Codec, "codec", "msgpack", strings.Join(codecs.Names, ", "))
	info := set.String("server-info", "default", "what the server must say")
	var secure tlsOptions
	secure.defineClient(set)
	_ = set.Parse(arguments)
	if err := o.Check(set); err != nil {
		complain("bench", err)
		return exitUsage
	}
	if _, _, err := codecs.New(o.Codec); err != nil {
		complain("bench", err)
		return exitUsage
	}
	if o.Connect == "" && secure.on {
		complain("bench", errors.New("--tls goes with --connect"))
		return exitUsage
	}
	if o.Connect == "" {
		server, err := own.Start("serve", "--listen", "127.0.0.1:0", "--codec", o.Codec, "--server-info", *info,
			"--buffer-size", fmt.Sprint(o.BufferSize), "--workers", fmt.Sprint(o.Conns))
		if err != nil {
			return complain("bench", err)
		}
		defer server.Stop()
		o.Connect, o.ServerPid = server.Address, server.Pid
	}
	client, err := newDialer(clientOptions{codec: o.Codec, address: o.Connect, info: *info, bufferSize: o.BufferSize, tls: secure})
	if err != nil {
		return complain("bench", err)
	}
	good, err := load.Bench(&o, load.Peer{Name: "cmd-stream-go " + version(), Dial: client.dialLoad})
	if err != nil {
		return complain("bench", err)
	}
	if !good {
		return exitFailed
	}
	return 0
}
