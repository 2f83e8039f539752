// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// A pinging is a connection that counts what goes over it: the client below it says nothing of pongs. While no command is
// in flight, each byte that it writes is a ping, and each byte that it reads has to be a pong.
type pinging struct {
	net.Conn
	pings, pongs, others atomic.Int64 // Others: bytes that are no pong.
}

func (p *pinging) Read(into []byte) (n int, err error) {
	n, err = p.Conn.Read(into)
	pongs := bytes.Count(into[:n], []byte{0})
	p.pongs.Add(int64(pongs))
	p.others.Add(int64(n - pongs))
	return
}

func (p *pinging) Write(from []byte) (n int, err error) {
	n, err = p.Conn.Write(from)
	p.pings.Add(int64(n))
	return
}

// The ServerInfo is read; from here on it is idle.
func (p *pinging) begin() {
	p.pings.Store(0)
	p.pongs.Store(0)
	p.others.Store(0)
}

// answered: there were pings enough, and so many pongs as there have been pings until now, and nothing else.
func (p *pinging) answered() error {
	const enough = 2
	pings := max(p.pings.Load(), enough)
	for end := time.Now().Add(answerTime); p.pongs.Load() < pings; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%d pings were answered by %d pongs", p.pings.Load(), p.pongs.Load())
		}
	}
	if p.others.Load() > 0 {
		return errors.New("something other than a pong came while no command was in flight")
	}
	return nil
}
