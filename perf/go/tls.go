// SPDX-License-Identifier: MIT

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/cmd-stream/cmd-stream-go/core"
)

const sessionsKept = 64

// tlsOptions are called as those of the program `cmdstream`.
type tlsOptions struct {
	on                        bool // A client's; a server's is its certificate.
	cert, key, ca, name, alpn string
	least, most               string // Versions.
	log                       bool
}

func (o *tlsOptions) define(set *flag.FlagSet) {
	set.StringVar(&o.cert, "tls-cert", "", "our certificate, PEM")
	set.StringVar(&o.key, "tls-key", "", "its key, PEM")
	set.StringVar(&o.ca, "tls-ca", "", "the CAs of the other side, PEM")
	set.StringVar(&o.alpn, "tls-alpn", "", "protocols, with commas between them")
	set.StringVar(&o.least, "tls-min-version", "1.2", "1.2 or 1.3")
	set.StringVar(&o.most, "tls-max-version", "1.3", "1.2 or 1.3")
	set.BoolVar(&o.log, "tls-log", false, "a line on stderr for each handshake")
}

func (o *tlsOptions) defineServer(set *flag.FlagSet) {
	o.define(set)
	set.BoolVar(&o.on, "tls-require-client-cert", false, "a client without a certificate is refused")
}

func (o *tlsOptions) defineClient(set *flag.FlagSet) {
	o.define(set)
	set.BoolVar(&o.on, "tls", false, "speak TLS")
	set.StringVar(&o.name, "tls-server-name", "", "asked for and checked; the host of the address if it is empty")
}

var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func (o *tlsOptions) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tlsVersions[o.least], MaxVersion: tlsVersions[o.most], ServerName: o.name}
	if config.MinVersion == 0 || config.MaxVersion < config.MinVersion {
		return nil, fmt.Errorf("from TLS %q to %q: 1.2 and 1.3 are known", o.least, o.most)
	}
	if o.alpn != "" {
		config.NextProtos = strings.Split(o.alpn, ",")
	}
	if o.cert != "" || o.key != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if o.log {
		config.VerifyConnection = logHandshake
	}
	return config, nil
}

func logHandshake(state tls.ConnectionState) error {
	name := ""
	if len(state.PeerCertificates) > 0 {
		name = state.PeerCertificates[0].Subject.CommonName
	}
	fmt.Fprintf(os.Stderr, "tls: %s, %s, resumed %t, alpn %q, peer %q\n", tls.VersionName(state.Version),
		tls.CipherSuiteName(state.CipherSuite), state.DidResume, state.NegotiatedProtocol, name)
	return nil
}

func (o *tlsOptions) pool() (*x509.CertPool, error) {
	text, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate", o.ca)
	}
	return pool, nil
}

// client returns nil without TLS.
func (o *tlsOptions) client() (config *tls.Config, err error) {
	if !o.on {
		return nil, nil
	}
	if config, err = o.config(); err == nil && o.ca != "" {
		config.RootCAs, err = o.pool()
	}
	if err == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(sessionsKept)
	}
	return
}

// server returns nil without TLS.
func (o *tlsOptions) server() (config *tls.Config, err error) {
	if o.cert == "" {
		if o.on {
			err = errors.New("--tls-require-client-cert is for TLS: --tls-cert is missing")
		}
		return nil, err
	}
	config, err = o.config()
	if err == nil && o.ca != "" {
		config.ClientAuth = tls.VerifyClientCertIfGiven
		config.ClientCAs, err = o.pool()
	}
	if o.on {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return
}

// A listener of cmd-stream-go has a deadline, which that of crypto/tls lacks.
type tlsListener struct {
	net.Listener
	plain *net.TCPListener
}

func (l tlsListener) SetDeadline(at time.Time) error { return l.plain.SetDeadline(at) }

func (o *tlsOptions) listen(address string) (core.Listener, error) {
	config, err := o.server()
	if err != nil {
		return nil, err
	}
	plain, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	if config == nil {
		return plain.(*net.TCPListener), nil
	}
	return tlsListener{tls.NewListener(plain, config), plain.(*net.TCPListener)}, nil
}

// dial returns a connection without TLS as it is: nobody stands between the library and it.
func dial(address string, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return net.Dial("tcp", address)
	}
	return tls.Dial("tcp", address, config)
}
