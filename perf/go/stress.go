// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cmdstream/perf/go/stress"
)

func stressTest(set *flag.FlagSet, arguments []string) int {
	serve := set.String("serve", "", "only a server, at this address; port 0: any, and it stays the same over restarts")
	connect := set.String("connect", "", "only the clients, of the server at this address")
	codec := set.String("codec", "json", "json or msgpack")
	seed := set.Uint64("seed", 1, "of all that is random")
	duration := set.Float64("duration", 10, "seconds of load")
	sessions := set.Int("sessions", 64, "each sends one command after the other")
	clients := set.Int("clients", 8, "connections that they share")
	up := set.Int("server-up-max-ms", 20000, "the longest that a server is up; 0: it is never restarted")
	down := set.Int("server-down-max-ms", 5000, "the longest that it is down then")
	var secure tlsOptions
	secure.define(set)
	set.BoolVar(&secure.on, "tls", false, "with --connect: speak TLS")
	_ = set.Parse(arguments)
	if (*serve == "") == (*connect == "") {
		complain("stress", errors.New("either --serve or --connect"))
		return exitUsage
	}
	ms := func(count int) time.Duration { return time.Duration(count) * time.Millisecond }
	if *serve != "" {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		err := stress.Serve(stress.ServerOptions{Address: *serve, Codec: *codec, Seed: *seed, UpMax: ms(*up), DownMax: ms(*down),
			Listen: secure.listen}, "cmd-stream-go "+version(), signals)
		if err != nil {
			return complain("stress", err)
		}
		return 0
	}
	config, err := secure.client()
	if err != nil {
		return complain("stress", err)
	}
	counts, err := stress.Run(stress.ClientOptions{Address: *connect, Codec: *codec, Seed: *seed,
		Duration: time.Duration(*duration * float64(time.Second)), Sessions: *sessions, Clients: *clients,
		Dial: func(address string) (net.Conn, error) { return dial(address, config) }})
	if err != nil {
		return complain("stress", err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(counts); err != nil {
		return complain("stress", err)
	}
	if counts.Wrong.Load() > 0 || counts.Echo.Load() == 0 || counts.Stream.Load() == 0 {
		return exitFailed
	}
	return 0
}
