// SPDX-License-Identifier: MIT

package stress

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	cmdstream "github.com/cmd-stream/cmd-stream-go"
	"github.com/cmd-stream/cmd-stream-go/core"
	csrv "github.com/cmd-stream/cmd-stream-go/core/srv"
	srv "github.com/cmd-stream/cmd-stream-go/server"
)

// ServerOptions are called as those of `cmdstream stress --serve`.
type ServerOptions struct {
	Address, Codec string
	Seed           uint64
	UpMax, DownMax time.Duration // UpMax 0: it is never restarted.
	Listen         func(address string) (core.Listener, error)
}

const workers = 64 // Connections at a time.

type server struct {
	options ServerOptions
	draws   uint64
	now     *csrv.Server
	ended   chan error
}

func (s *server) draw(most time.Duration) time.Duration {
	s.draws++
	if most <= 0 {
		return 0
	}
	return time.Duration(random(s.options.Seed, s.draws, purposeServer) % uint64(most))
}

func (s *server) start() error {
	_, codec, err := newCodecs(s.options.Codec)
	if err != nil {
		return err
	}
	listener, err := s.options.Listen(s.options.Address)
	if err != nil {
		return err
	}
	next, err := cmdstream.NewServer(Receiver{}, codec, srv.WithCore(csrv.WithWorkersCount(workers)))
	if err != nil {
		return err
	}
	s.now, s.ended = next, make(chan error, 1)
	go func(ended chan error) { ended <- next.Serve(listener) }(s.ended)
	return nil
}

// All connections end at once.
func (s *server) stop() {
	for s.now.Close() != nil { // Not serving yet.
		time.Sleep(time.Millisecond)
	}
	<-s.ended
}

// holdPort resolves port 0. The socket is bound and does not listen: nobody else gets the port while the server is down.
func holdPort(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != "0" {
		return address, err
	}
	ip := net.ParseIP(host).To4()
	if ip == nil {
		return "", fmt.Errorf("%s: an IPv4 address is needed for port 0", address)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", err
	}
	if err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte(ip)}); err != nil {
		return "", err
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, fmt.Sprint(bound.(*syscall.SockaddrInet4).Port)), nil
}

// Serve starts and ends servers until `stop` is readable.
func Serve(o ServerOptions, about string, stop <-chan os.Signal) error {
	address, err := holdPort(o.Address)
	if err != nil {
		return err
	}
	o.Address = address
	s := &server{options: o}
	if err := s.start(); err != nil {
		return err
	}
	fmt.Printf("listening on %s (stress, %s, %s)\n", address, o.Codec, about)
	for starts := 1; ; starts++ {
		var up <-chan time.Time
		if o.UpMax > 0 {
			up = time.After(s.draw(o.UpMax))
		}
		select {
		case err := <-s.ended:
			return err
		case <-up:
			s.stop()
		case <-stop:
			s.stop()
			fmt.Printf("{\"starts\":%d}\n", starts)
			return nil
		}
		select {
		case <-time.After(s.draw(o.DownMax)):
		case <-stop:
			fmt.Printf("{\"starts\":%d}\n", starts)
			return nil
		}
		if err := s.start(); err != nil {
			return err
		}
	}
}
