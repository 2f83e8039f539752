// SPDX-License-Identifier: MIT

package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"cmdstream/perf/go/codecs"
	"cmdstream/perf/go/load"
	"cmdstream/perf/go/testproto"

	cmdstream "github.com/cmd-stream/cmd-stream-go"
	cln "github.com/cmd-stream/cmd-stream-go/client"
	"github.com/cmd-stream/cmd-stream-go/core"
	ccln "github.com/cmd-stream/cmd-stream-go/core/cln"
	dlgt "github.com/cmd-stream/cmd-stream-go/delegate"
	dcln "github.com/cmd-stream/cmd-stream-go/delegate/cln"
	grp "github.com/cmd-stream/cmd-stream-go/group"
	tspt "github.com/cmd-stream/cmd-stream-go/transport"
)

const handshakeTime = 5 * time.Second

type receiver = *testproto.Receiver

type clientOptions struct {
	codec, address, info string
	bufferSize           int           // 0: the library's default.
	pingTime             time.Duration // 0: no pings.
	reconnect            bool
	wrap                 func(net.Conn) net.Conn // May be nil.
	tls                  tlsOptions
}

type dialer struct {
	options clientOptions
	tls     *tls.Config // nil: plain.
	codec   cln.Codec[receiver]
	set     []cln.SetOption
}

func newDialer(o clientOptions) (*dialer, error) {
	codec, _, err := codecs.New(o.codec)
	if err != nil {
		return nil, err
	}
	config, err := o.tls.client()
	if err != nil {
		return nil, err
	}
	set := []cln.SetOption{
		cln.WithServerInfo(dlgt.ServerInfo(o.info)),
		cln.WithTransport(tspt.WithReaderBufSize(o.bufferSize), tspt.WithWriterBufSize(o.bufferSize)),
		cln.WithDelegate(dcln.WithServerInfoReceiveDuration(handshakeTime)),
	}
	if o.pingTime > 0 {
		set = append(set, cln.WithKeepalive(dcln.WithKeepaliveTime(o.pingTime), dcln.WithKeepaliveIntvl(o.pingTime)))
	}
	return &dialer{o, config, codec, set}, nil
}

func (d *dialer) connect() (net.Conn, error) {
	connection, err := dial(d.options.address, d.tls)
	if err == nil && d.options.wrap != nil {
		connection = d.options.wrap(connection)
	}
	return connection, err
}

func (d *dialer) dial() (*ccln.Client[receiver], error) {
	if d.options.reconnect {
		return cmdstream.NewReconnectClient(d.codec, cln.ConnFactoryFn(d.connect), d.set...)
	}
	connection, err := d.connect()
	if err != nil {
		return nil, err
	}
	client, err := cmdstream.NewClient(d.codec, connection, d.set...)
	if err != nil {
		_ = connection.Close()
	}
	return client, err
}

func (d *dialer) group(count int) (grp.Group[receiver], error) {
	return cmdstream.NewGroup(count, d.codec, cln.ConnFactoryFn(d.connect), grp.WithClient[receiver](d.set...))
}

// What the module's version is, from the build itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/cmd-stream/cmd-stream-go" {
				return module.Version
			}
		}
	}
	return "of an unknown version"
}

// --- For package load ---------------------------------------------------------------------------

func (d *dialer) dialLoad() (load.Conn, error) {
	client, err := d.dial()
	return loadConn{client, d.options.codec}, err
}

type loadConn struct {
	client *ccln.Client[receiver]
	codec  string
}

func (c loadConn) Close() error { return c.client.Close() }

func (c loadConn) Lane() load.Lane {
	return &loadLane{c, make(chan core.AsyncResult, 1)}
}

type loadLane struct {
	loadConn
	results chan core.AsyncResult
}

func (l *loadLane) bodySize(answer core.AsyncResult) int {
	return codecs.BodySize(l.codec, uint64(answer.Seq), answer.BytesRead)
}

func (l *loadLane) one(cmd core.Cmd[receiver]) (none testproto.EchoResult, size int, err error) {
	if _, _, err = l.client.Send(cmd, l.results); err != nil {
		return
	}
	answer := <-l.results
	if answer.Error != nil {
		return none, 0, answer.Error
	}
	result, ok := answer.Result.(testproto.EchoResult)
	if !ok {
		return none, 0, fmt.Errorf("the result is a %T", answer.Result)
	}
	return result, l.bodySize(answer), nil
}

func (l *loadLane) Echo(c testproto.EchoCmd) (testproto.EchoResult, int, error)   { return l.one(c) }
func (l *loadLane) Sleep(c testproto.SleepCmd) (testproto.EchoResult, int, error) { return l.one(c) }
func (l *loadLane) Work(c testproto.WorkCmd) (testproto.EchoResult, int, error)   { return l.one(c) }

// A full channel holds up the whole connection, so a stream has room for what comes while its lane looks elsewhere.
const streamRoom = 1024

func (l *loadLane) Stream(c testproto.StreamCmd, take func(testproto.ItemResult, int)) error {
	if cap(l.results) < streamRoom {
		l.results = make(chan core.AsyncResult, streamRoom)
	}
	if _, _, err := l.client.Send(c, l.results); err != nil {
		return err
	}
	for {
		answer := <-l.results
		if answer.Error != nil {
			return answer.Error
		}
		item, ok := answer.Result.(testproto.ItemResult)
		if !ok {
			return fmt.Errorf("the result is a %T", answer.Result)
		}
		take(item, l.bodySize(answer))
		if item.Last {
			return nil
		}
	}
}
