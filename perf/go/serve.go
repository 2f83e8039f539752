// SPDX-License-Identifier: MIT

package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cmdstream/perf/go/codecs"
	"cmdstream/perf/go/testproto"

	cmdstream "github.com/cmd-stream/cmd-stream-go"
	csrv "github.com/cmd-stream/cmd-stream-go/core/srv"
	dlgt "github.com/cmd-stream/cmd-stream-go/delegate"
	hdlr "github.com/cmd-stream/cmd-stream-go/handler"
	srv "github.com/cmd-stream/cmd-stream-go/server"
	tspt "github.com/cmd-stream/cmd-stream-go/transport"
)

func serve(set *flag.FlagSet, arguments []string) int {
	listen := set.String("listen", "127.0.0.1:9000", "HOST:PORT; port 0: any")
	codec := set.String("codec", "msgpack", "msgpack, msgpack-map, json, protobuf, mus")
	info := set.String("server-info", "default", "what clients must expect")
	bufferSize := set.Int("buffer-size", 0, "bytes of the reader's and the writer's buffers; 0: the library's default")
	workers := set.Int("workers", 1024, "connections that are served at a time; the next ones wait")
	idle := set.Int("idle-timeout-ms", 0, "a connection that has received nothing for so long is closed; 0: never")
	var secure tlsOptions
	secure.defineServer(set)
	_ = set.Parse(arguments)

	_, serverCodec, err := codecs.New(*codec)
	if err != nil {
		complain("serve", err)
		return exitUsage
	}
	server, err := cmdstream.NewServer(testproto.NewReceiver(codecs.MaxLen/2, 4), serverCodec,
		srv.WithServerInfo(dlgt.ServerInfo(*info)),
		srv.WithCore(csrv.WithWorkersCount(*workers)),
		srv.WithHandler(hdlr.WithCmdReceiveDuration(time.Duration(*idle)*time.Millisecond)),
		srv.WithTransport(tspt.WithReaderBufSize(*bufferSize), tspt.WithWriterBufSize(*bufferSize)))
	if err != nil {
		return complain("serve", err)
	}
	listener, err := secure.listen(*listen)
	if err != nil {
		return complain("serve", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Printf("listening on %s (cmd-stream-go %s, %s)\n", listener.Addr(), version(), *codec)
	select {
	case err = <-ended:
		return complain("serve", err)
	case <-signals:
		_ = server.Close()
		return 0
	}
}
