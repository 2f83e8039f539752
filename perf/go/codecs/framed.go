// SPDX-License-Identifier: MIT

package codecs

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"cmdstream/perf/go/testproto"

	"github.com/cmd-stream/cmd-stream-go/core"
	"github.com/mus-format/mus-stream-go/varint"
)

// format is JSON or Protobuf. Both stand behind a type's number and a length.
type format interface {
	// append writes a command or a result behind what is in `out`.
	append(out []byte, value any) ([]byte, error)
	command(number int, body []byte) (core.Cmd[*testproto.Receiver], error)
	result(number int, body []byte) (core.Result, error)
}

type framedClient struct{ format format }

type framedServer struct{ format format }

func newFramed(f format) (client, server) { return framedClient{f}, framedServer{f} }

func (c framedClient) Encode(cmd core.Cmd[*testproto.Receiver], w writer) (int, error) {
	number, err := commandNumber(cmd)
	if err != nil {
		return 0, err
	}
	return writeFrame(c.format, number, cmd, w)
}

func (c framedClient) Decode(r reader) (result core.Result, n int, err error) {
	n, err = readFrame(r, len(testproto.Results), func(number int, body []byte) (err error) {
		result, err = c.format.result(number, body)
		return
	})
	return
}

func (c framedServer) Encode(result core.Result, w writer) (int, error) {
	number, err := resultNumber(result)
	if err != nil {
		return 0, err
	}
	return writeFrame(c.format, number, result, w)
}

func (c framedServer) Decode(r reader) (cmd core.Cmd[*testproto.Receiver], n int, err error) {
	n, err = readFrame(r, len(testproto.Commands), func(number int, body []byte) (err error) {
		cmd, err = c.format.command(number, body)
		return
	})
	return
}

type scratch struct{ bytes []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

const scratchKeepMax = 64 << 10

func putScratch(s *scratch) {
	if cap(s.bytes) <= scratchKeepMax {
		scratches.Put(s)
	}
}

func writeFrame(f format, number int, value any, w writer) (n int, err error) {
	s := scratches.Get().(*scratch)
	defer putScratch(s)
	if s.bytes, err = f.append(s.bytes[:0], value); err != nil {
		return
	}
	if len(s.bytes) > MaxLen {
		return 0, errTooLarge
	}
	if n, err = varint.PositiveInt.Marshal(number, w); err != nil {
		return
	}
	n1, err := varint.PositiveInt.Marshal(len(s.bytes), w)
	n += n1
	if err != nil {
		return
	}
	n1, err = w.Write(s.bytes)
	return n + n1, err
}

const readAtOnceMax = 64 << 10 // More is read as it comes: a length alone reserves no memory.

func readFrame(r reader, types int, take func(number int, body []byte) error) (n int, err error) {
	number, n, err := varint.PositiveInt.Unmarshal(r)
	if err != nil {
		return n, err
	}
	if number < 0 || number >= types {
		return n, fmt.Errorf("%w: number %d", errUnknownType, number)
	}
	length, n1, err := varint.PositiveInt.Unmarshal(r)
	n += n1
	if err != nil {
		return n, err
	}
	if length < 0 || length > MaxLen {
		return n, errTooLarge
	}
	s := scratches.Get().(*scratch)
	defer putScratch(s)
	if s.bytes, err = readBody(r, s.bytes[:0], length); err != nil {
		return n, err
	}
	return n + length, take(number, s.bytes)
}

func readBody(r reader, into []byte, length int) ([]byte, error) {
	if length <= readAtOnceMax {
		if cap(into) < length {
			into = make([]byte, length)
		}
		into = into[:length]
		_, err := io.ReadFull(r, into)
		return into, noEOF(err)
	}
	buffer := bytes.NewBuffer(into)
	_, err := io.CopyN(buffer, r, int64(length))
	return buffer.Bytes(), noEOF(err)
}

// The end of the connection within a value is not an orderly end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
